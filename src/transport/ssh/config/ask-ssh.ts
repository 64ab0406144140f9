import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { UserError, codeOf, messageOf } from '../../../errors.ts'
import { formatInclude } from '../../../machine/ssh-config-text.ts'
import { execProgram } from '../../../os/exec-file.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { traceError } from '../../../os/trace.ts'
import type { Destination } from '../destination.ts'
import { type Environment, homeOf } from '../../../os/environment.ts'

/** How long ssh may take to print its configuration, in milliseconds. */
const answerTimeoutMs = 20_000

/** How many processes of `ssh -G` run at once: a command may connect to hundreds of hosts. */
const concurrency = 8
const limit = pLimit(concurrency)

/** The configuration of this computer, which ssh does not read with `-F`. */
const systemFile = '/etc/ssh/ssh_config'

export async function exists(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    traceError('ssh', 'read the SSH configuration', error)
    return false
  }
}

/** ssh takes the account's home from the system and ignores $HOME; a different $HOME has its own configuration. */
const hasOwnHome = (env: Environment): boolean => homeOf(env) !== userInfo().homedir

/** The user's own configuration. */
const ownConfigFile = (env: Environment): string => join(homeOf(env), '.ssh', 'config')

/** The options by which ssh reads the configuration of $HOME, or `file`. */
export async function configOptions(env: Environment, file?: string): Promise<readonly string[]> {
  if (file !== undefined) return ['-F', file]
  if (!hasOwnHome(env)) return []
  return ['-F', (await exists(ownConfigFile(env))) ? ownConfigFile(env) : 'none']
}

/**
 * Asks ssh for its settings of a host, one `keyword value` per line. Undefined where there is no ssh. Throws kind `usage` when
 * ssh cannot read its configuration. `Match exec` of the configuration runs its commands.
 *
 * @param file a file to read in place of ~/.ssh/config and the configuration of this computer
 */
export async function askSsh(
  { host, user, port }: Destination,
  env: Environment,
  file?: string,
): Promise<readonly string[] | undefined> {
  const options = [
    ...(await configOptions(env, file)),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
  ]
  try {
    const { stdout } = await limit(() =>
      execProgram('ssh', ['-G', ...options, '--', host], {
        env,
        timeout: answerTimeoutMs, // a command of `Match exec` may never end
      }),
    )
    return stdout.split('\n')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    const { stderr } = error as { stderr?: string }
    throw new UserError(
      'usage',
      `ssh cannot read its configuration for ${host}: ${stderr?.trim() || messageOf(error)}`,
      {
        hint: `to see the error: ssh -G -- ${shellQuote(host)}`,
        cause: error,
      },
    )
  }
}

/** The settings of a host in the configuration of this computer, without those of the user. */
export async function askSystemSsh(env: Environment): Promise<readonly string[] | undefined> {
  const isUsed = !hasOwnHome(env) && (await exists(systemFile))
  return askSsh({ host: 'fleet.invalid' }, env, isUsed ? systemFile : 'none')
}

let builtIn: Promise<readonly string[] | undefined> | undefined

/** The settings that ssh has without any configuration. */
export const askBuiltInSsh = (env: Environment): Promise<readonly string[] | undefined> =>
  (builtIn ??= askSsh({ host: 'fleet.invalid' }, env, 'none'))

/** Values that no configuration has. */
const [unsetUser, unsetPort] = ['fleet-unset', 1] as const

/** Which of `User` and `Port` a configuration sets for a host: `ssh -G` prints the defaults of ssh alike. */
export async function findSetKeywords(
  destination: Destination,
  env: Environment,
): Promise<{ readonly user: boolean; readonly port: boolean }> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-ssh-'))
  try {
    const file = join(folder, 'config')
    const included = hasOwnHome(env) ? [ownConfigFile(env)] : [ownConfigFile(env), systemFile]
    const there = await Promise.all(included.map(exists))
    const lines = [
      ...included.filter((_, index) => there[index]).map(formatInclude),
      'Host *',
      `User ${unsetUser}`,
      `Port ${unsetPort}`,
    ]
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    const answer = (await askSsh(destination, env, file)) ?? []
    return {
      user: !answer.includes(`user ${unsetUser}`),
      port: !answer.includes(`port ${unsetPort}`),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
