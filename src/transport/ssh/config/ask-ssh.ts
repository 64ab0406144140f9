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

/** How many `ssh -G` processes run at the same time: a command may connect to hundreds of hosts. */
const concurrency = 8
const limit = pLimit(concurrency)

/** The system-wide configuration file, which ssh does not read if `-F` is given. */
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

/**
 * Whether $HOME is not the account's home directory. ssh ignores $HOME, so fleet passes it the configuration in $HOME.
 */
const hasOwnHome = (env: Environment): boolean => homeOf(env) !== userInfo().homedir

/** Returns the path of the user's configuration file. */
const ownConfigFile = (env: Environment): string => join(homeOf(env), '.ssh', 'config')

/** Returns the options that make ssh read the configuration in $HOME, or `file`. */
export async function configOptions(env: Environment, file?: string): Promise<readonly string[]> {
  if (file !== undefined) return ['-F', file]
  if (!hasOwnHome(env)) return []
  return ['-F', (await exists(ownConfigFile(env))) ? ownConfigFile(env) : 'none']
}

/**
 * Resolves to ssh's settings for a host, one `keyword value` per line; undefined if ssh is not installed. Throws kind
 * `usage` if ssh cannot read its configuration. ssh runs the commands of `Match exec` in the configuration.
 *
 * @param file a file to read instead of ~/.ssh/config and the system-wide configuration
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

/** Resolves to ssh's settings in the system-wide configuration, without the user's settings. */
export async function askSystemSsh(env: Environment): Promise<readonly string[] | undefined> {
  const isUsed = !hasOwnHome(env) && (await exists(systemFile))
  return askSsh({ host: 'fleet.invalid' }, env, isUsed ? systemFile : 'none')
}

let builtIn: Promise<readonly string[] | undefined> | undefined

/** Resolves to ssh's settings without any configuration. */
export const askBuiltInSsh = (env: Environment): Promise<readonly string[] | undefined> =>
  (builtIn ??= askSsh({ host: 'fleet.invalid' }, env, 'none'))

/** Placeholder values that no configuration contains. */
const [unsetUser, unsetPort] = ['fleet-unset', 1] as const

/**
 * Resolves to whether a configuration sets `User` and `Port` for a host. The output of `ssh -G` alone does not show
 * this, since it also contains ssh's defaults.
 */
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
