import { createHash } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { UserError } from '../../../errors.ts'
import { type Environment, homeOf } from '../../../os/environment.ts'

/** The values of a login that replace the tokens of ssh_config(5). */
export interface TokenValues {
  /** The host as the user typed it. */
  readonly host: string
  readonly address: string
  readonly user: string
  readonly port: number
  readonly proxyJump?: readonly string[]
  readonly hostKeyAlias?: string | undefined
}

/** Returns the values of tokens (ssh_config(5), TOKENS), keyed by the token's letter. */
function tokensOf(
  { host, address, user, port, proxyJump = [], hostKeyAlias = host }: TokenValues,
  env: Environment,
): Readonly<Record<string, string>> {
  const local = hostname()
  const jump = proxyJump.join(',')
  const { uid, username } = userInfo()
  return {
    '%': '%',
    C: createHash('sha1').update(`${local}${address}${port}${user}${jump}`).digest('hex'),
    d: homeOf(env),
    h: address,
    i: String(uid),
    j: jump,
    k: hostKeyAlias,
    L: local.replace(/\..*$/, ''),
    l: local,
    n: host,
    p: String(port),
    r: user,
    u: username,
  }
}

/**
 * Expands `~`, `${NAME}` and tokens in a file name. Unknown tokens and unset variables, which ssh rejects, are left
 * unchanged, so the file is not found.
 */
export function expandPath(text: string, values: TokenValues, env: Environment): string {
  const tokens = tokensOf(values, env)
  return text
    .replace(/^~(?=\/|$)/, homeOf(env))
    .replaceAll(/\$\{([^}]*)\}/g, (whole, name: string) => env[name] ?? whole)
    .replaceAll(/%(.)/g, (whole, token: string) => tokens[token] ?? whole)
}

/**
 * Expands the tokens of a command line. Variables are not expanded, since the shell does that. Throws kind `usage` for
 * an unknown token, as ssh does.
 */
export function expandCommand(text: string, values: TokenValues, env: Environment): string {
  const tokens = tokensOf(values, env)
  return text.replaceAll(/%(.?)/g, (whole, token: string) => {
    const value = tokens[token]
    if (value !== undefined) return value
    throw new UserError(
      'usage',
      `the ProxyCommand for ${values.host} in your SSH configuration contains the unknown token ${whole}`,
      { hint: 'write a literal % as %%; ssh_config(5) lists the tokens under TOKENS' },
    )
  })
}
