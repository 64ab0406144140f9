import { UserError, messageOf } from '../../errors.ts'
import { httpRequest, readText } from '../../os/http-request.ts'
import { proxyAgent } from '../../os/proxy.ts'

/** GitHub's rule for user names: 1 to 39 letters, digits and inner hyphens. */
const userPattern = /^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}$/

/** How long GitHub may take to answer, in milliseconds. */
const timeout = 15_000

const notFetched = (user: string, why: string, cause?: unknown): UserError =>
  new UserError('failed', `cannot get ${user}'s keys from GitHub: ${why}`, {
    hint: 'specify a file with the public key instead: fleet operator add NAME --key FILE',
    cause,
  })

/** The maximum length of the response, in characters. More than a thousand keys fit into it. */
const longestAnswer = 1 << 20

async function get(url: string, signal: AbortSignal) {
  const response = await httpRequest(url, { signal, agent: proxyAgent() })
  return { status: response.statusCode ?? 0, body: await readText(response, longestAnswer) }
}

/** Fetches the lines of https://github.com/USER.keys, through the proxy in HTTPS_PROXY if it is set. */
export async function fetchGithubKeys(
  user: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (!userPattern.test(user)) {
    throw new UserError('usage', `${JSON.stringify(user)} is not a valid GitHub user name`)
  }
  const url = `https://github.com/${user}.keys`
  const stop = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
  const { status, body } = await get(url, stop).catch((error: unknown) => {
    signal.throwIfAborted()
    throw notFetched(user, messageOf(error), error)
  })
  if (status === 404) throw notFetched(user, 'no such user')
  if (status !== 200) throw notFetched(user, `HTTP status ${status}`)
  return body.split('\n').filter((line) => line.trim() !== '')
}
