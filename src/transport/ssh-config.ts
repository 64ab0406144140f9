import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { homedir, hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError, codeOf, messageOf } from '../errors.ts'
import { type Destination, parseDestination } from './destination.ts'

/** How to log in to a host, after ~/.ssh/config had its say. */
export interface SshConfig {
  readonly address: string
  readonly user: string
  readonly port: number
  /** Private keys that exist on this computer, best first. */
  readonly identityFiles: readonly string[]
  /** Hosts to jump through, nearest first, as `[user@]host[:port]`. */
  readonly proxyJump?: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

const run = promisify(execFile)
const homeOf = (env: Environment): string => env['HOME'] ?? homedir()

async function exists(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch {
    return false
  }
}

/** ssh takes the account's home from the system and ignores $HOME; a $HOME of one's own brings its own file. */
async function configFile(env: Environment, told?: string): Promise<readonly string[]> {
  if (told !== undefined) return ['-F', told]
  if (homeOf(env) === userInfo().homedir) return []
  const file = join(homeOf(env), '.ssh', 'config')
  return ['-F', (await exists(file)) ? file : 'none']
}

/**
 * Asks ssh what its configuration says of a host, one `keyword value` per line. Undefined where there is no ssh. Throws
 * kind `usage` when ssh cannot read its configuration.
 *
 * @param told a file to read in place of ~/.ssh/config
 */
export async function askSsh(
  { host, user, port }: Destination,
  env: Environment,
  told?: string,
): Promise<readonly string[] | undefined> {
  const options = [
    ...(await configFile(env, told)),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
  ]
  try {
    const { stdout } = await run('ssh', ['-G', '-T', ...options, '--', host], {
      env,
    })
    return stdout.split('\n')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    const { stderr } = error as { stderr?: string }
    throw new UserError(
      'usage',
      `ssh cannot read its configuration for ${host}: ${stderr?.trim() || messageOf(error)}`,
      {
        hint: `ssh -G ${host}`,
        cause: error,
      },
    )
  }
}

/** What a value of ssh's configuration is expanded with. */
interface Expansion extends Omit<SshConfig, 'identityFiles'> {
  /** The host as it was typed. */
  readonly host: string
  readonly hostKeyAlias?: string | undefined
}

/**
 * Expands `~`, `${NAME}` and the tokens of ssh_config(5) "TOKENS" in the name of a file. Tokens that are none stay, and so do
 * variables that are not set, which ssh refuses: no file has such a name.
 */
function expand(
  text: string,
  { host, address, user, port, proxyJump = [], hostKeyAlias = host }: Expansion,
  env: Environment,
): string {
  const local = hostname()
  const jump = proxyJump.join(',')
  const tokens: Readonly<Record<string, string>> = {
    '%': '%',
    C: createHash('sha1').update(`${local}${address}${port}${user}${jump}`).digest('hex'),
    d: homeOf(env),
    h: address,
    i: String(userInfo().uid),
    j: jump,
    k: hostKeyAlias,
    L: local.replace(/\..*$/, ''),
    l: local,
    n: host,
    p: String(port),
    r: user,
    u: userInfo().username,
  }
  return text
    .replace(/^~(?=\/|$)/, homeOf(env))
    .replaceAll(/\$\{([^}]*)\}/g, (whole, name: string) => env[name] ?? whole)
    .replaceAll(/%(.)/g, (whole, token: string) => tokens[token] ?? whole)
}

async function readAnswer(
  lines: readonly string[],
  { host }: Destination,
  env: Environment,
): Promise<SshConfig> {
  const values = (keyword: string): string[] =>
    lines
      .filter((line) => line.startsWith(`${keyword} `))
      .map((line) => line.slice(keyword.length + 1))
  const value = (keyword: string): string | undefined =>
    values(keyword).find((text) => text !== 'none')

  if (value('proxycommand') !== undefined)
    throw new UserError(
      'unsupported',
      `${host} is reached by a ProxyCommand of ssh's configuration, which fleet does not run`,
      {
        hint: 'use ProxyJump in ~/.ssh/config in its place, or adopt the jump host and name it with --via',
      },
    )
  const config = {
    address: value('hostname') ?? host,
    user: value('user') ?? userInfo().username,
    port: Number(value('port') ?? 22),
  }
  const jump = value('proxyjump')
  const jumped = { ...config, ...(jump !== undefined && { proxyJump: jump.split(',') }) }
  const expansion = { ...jumped, host, hostKeyAlias: value('hostkeyalias') }
  const files = values('identityfile').map((file) => expand(file, expansion, env))
  const there = await Promise.all(files.map(exists))
  return { ...jumped, identityFiles: files.filter((_, index) => there[index]) }
}

/**
 * Finds how to log in to `destination` (`[user@]host[:port]`, or an alias of ~/.ssh/config), by asking
 * `ssh -G` where ssh is installed. Throws `usage` for a malformed destination and `unsupported` where
 * only a ProxyCommand leads to the host.
 *
 * @param configuration a file to read in place of ~/.ssh/config
 */
export async function resolveSshConfig(
  destination: string,
  env: Environment,
  configuration?: string,
): Promise<SshConfig> {
  const parsed = parseDestination(destination)
  const lines = await askSsh(parsed, env, configuration)
  if (lines !== undefined) return await readAnswer(lines, parsed, env)
  return {
    address: parsed.host,
    user: parsed.user ?? env['USER'] ?? userInfo().username,
    port: parsed.port ?? 22,
    identityFiles: [],
  }
}
