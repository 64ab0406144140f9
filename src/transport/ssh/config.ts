import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { homedir, hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { type Destination, parseDestination } from './destination.ts'
import type { KnownHostQuery } from './keys/known-hosts.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { traceError } from '../../os/trace.ts'

/** How to log in to a host, after ~/.ssh/config had its say. */
export interface SshConfig {
  readonly address: string
  readonly user: string
  readonly port: number
  /** Private keys that exist on this computer, best first. */
  readonly identityFiles: readonly string[]
  /** Certificates of the person's keys (`CertificateFile`) that exist on this computer. */
  readonly certificateFiles?: readonly string[]
  /** `IdentityAgent`, where it is not SSH_AUTH_SOCK: a path, `none`, or `$NAME` of a variable. */
  readonly agent?: string
  /** Where the host's keys are known, and by which name. */
  readonly knownHosts?: Pick<KnownHostQuery, 'alias' | 'files'>
  /** Hosts to jump through, nearest first, as `[user@]host[:port]`. */
  readonly proxyJump?: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

const run = promisify(execFile)

/** How long ssh may take to say what its configuration says, in milliseconds. */
const answerTimeoutMs = 20_000

const homeOf = (env: Environment): string => env['HOME'] ?? homedir()

async function exists(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    traceError('ssh', 'read the SSH configuration', error)
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
      timeout: answerTimeoutMs, // a command of `Match exec` may never end
    })
    return stdout.split('\n')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    const { stderr } = error as { stderr?: string }
    throw new UserError(
      'usage',
      `ssh cannot read its configuration for ${host}: ${stderr?.trim() || messageOf(error)}`,
      {
        hint: `ssh -G -- ${shellQuote(host)}`,
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

/** ssh expands some paths itself, and takes the account's home for `~`: where $HOME is another, the same file there. */
async function inHome(path: string, env: Environment): Promise<string> {
  const system = `${userInfo().homedir}/`
  if (!path.startsWith(system)) return path
  const own = join(homeOf(env), path.slice(system.length))
  const isUsual = /^\.ssh\/known_hosts2?$/.test(path.slice(system.length))
  return isUsual || (await exists(own)) ? own : path
}

/** `ssh -G` prints paths with spaces as they are, and several on one line. */
const splitPaths = (text: string): readonly string[] => text.split(/ (?=[/~%$]|none$)/)

/** An agent other than that of SSH_AUTH_SOCK. A variable is looked up each time that the agent is needed. */
async function agentOf(
  said: string | undefined,
  find: (path: string) => Promise<string>,
): Promise<string | undefined> {
  if (said === undefined || said === 'SSH_AUTH_SOCK') return undefined
  return said === 'none' || /^\$\w+$/.test(said) ? said : find(said)
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
      `the ssh configuration of ${host} uses ProxyCommand, which fleet does not support`,
      {
        hint: 'use ProxyJump in ~/.ssh/config instead, or adopt the jump host and name it with --via',
      },
    )
  const alias = value('hostkeyalias')
  const config = {
    address: value('hostname') ?? host,
    user: value('user') ?? userInfo().username,
    port: Number(value('port') ?? 22),
  }
  const jump = value('proxyjump')
  const jumped = { ...config, ...(jump !== undefined && { proxyJump: jump.split(',') }) }
  const expandPath = (path: string) => expand(path, { ...jumped, host, hostKeyAlias: alias }, env)
  const filesOf = async (keyword: string): Promise<readonly string[]> => {
    const files = values(keyword).map(expandPath)
    const there = await Promise.all(files.map(exists))
    return files.filter((_, index) => there[index])
  }
  const [identityFiles, certificateFiles] = [
    await filesOf('identityfile'),
    await filesOf('certificatefile'),
  ]
  const find = (path: string) => inHome(expandPath(path), env)
  const agent = await agentOf(values('identityagent')[0], find)
  const knownHosts = ['userknownhostsfile', 'globalknownhostsfile']
    .flatMap(values)
    .flatMap(splitPaths)
    .filter((file) => file !== 'none')
  const files = await Promise.all(knownHosts.map(find))
  return {
    ...jumped,
    identityFiles,
    ...(certificateFiles.length > 0 && { certificateFiles }),
    ...(agent !== undefined && { agent }),
    knownHosts: { files, ...(alias !== undefined && { alias }) },
  }
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
