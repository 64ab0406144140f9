import { userInfo } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../../errors.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import type { SshClient } from '../connect.ts'
import { type Destination, parseDestination } from '../destination.ts'
import type { ProxyCommand } from '../proxy-command.ts'
import { valuesOf } from './answer.ts'
import { askBuiltInSsh, askSsh, askSystemSsh, exists, findSetKeywords } from './ask-ssh.ts'
import { allowsKerberos, findIgnored, isConfigured, needsOpenSsh } from './coverage.ts'
import { type SshSettings, readSettings } from './settings.ts'
import { expandCommand, expandPath } from './tokens.ts'
import { type Environment, homeOf } from '../../../os/environment.ts'

/** How to log in to a host, according to the user's SSH configuration. */
export interface SshConfig {
  readonly address: string
  readonly user: string
  readonly port: number
  /** Private keys that exist on this computer, best first. */
  readonly identityFiles: readonly string[]
  /** Certificates for the user's keys (`CertificateFile`) that exist on this computer. */
  readonly certificateFiles?: readonly string[]
  /** `IdentityAgent`, if it is not SSH_AUTH_SOCK: a path, `none`, or `$NAME` for an environment variable. */
  readonly agent?: string
  /** Hosts to jump through, nearest to this computer first, as `[user@]host[:port]`. */
  readonly proxyJump?: readonly string[]
  /** The proxy program to connect with; never together with `proxyJump`. */
  readonly proxyCommand?: ProxyCommand
  readonly settings?: SshSettings
}

/**
 * Maps a path in the account's home directory to the same path in $HOME, if that file exists or is a default
 * known_hosts file: ssh expands `~` in some paths itself, and ignores $HOME.
 */
async function inHome(path: string, env: Environment): Promise<string> {
  const system = `${userInfo().homedir}/`
  if (!path.startsWith(system)) return path
  const own = join(homeOf(env), path.slice(system.length))
  const isUsual = /^\.ssh\/known_hosts2?$/.test(path.slice(system.length))
  return isUsual || (await exists(own)) ? own : path
}

/** Splits a line with several paths. `ssh -G` prints paths with spaces unquoted. */
const splitPaths = (text: string): readonly string[] => text.split(/ (?=[/~%$]|none$)/)

/**
 * Resolves to the agent that `IdentityAgent` selects; undefined for the agent of SSH_AUTH_SOCK. The value of a variable
 * is looked up each time the agent is needed.
 */
async function agentOf(
  value: string | undefined,
  find: (path: string) => Promise<string>,
): Promise<string | undefined> {
  if (value === undefined || value === 'SSH_AUTH_SOCK') return undefined
  return value === 'none' || /^\$\w+$/.test(value) ? value : find(value)
}

/** Values to use if the configuration does not set them. */
interface Fallback {
  readonly address: string
  readonly user: string
  readonly port: number
}

/**
 * Determines the address, the user and the port. The fallback replaces values that the configuration does not set, for
 * which `ssh -G` prints ssh's defaults.
 */
async function findEndpoint(
  first: (keyword: string) => string | undefined,
  destination: Destination,
  { env, fallback }: { readonly env: Environment; readonly fallback: Fallback | undefined },
): Promise<Fallback> {
  const { host } = destination
  const endpoint = {
    address: first('hostname') ?? host,
    user: first('user') ?? userInfo().username,
    port: Number(first('port') ?? 22),
  }
  if (fallback === undefined) return endpoint
  const isUnclear =
    (endpoint.user === userInfo().username && fallback.user !== endpoint.user) ||
    (endpoint.port === 22 && fallback.port !== 22)
  const set = isUnclear ? await findSetKeywords(destination, env) : { user: true, port: true }
  // A proxy program or a jump host gets the name that ssh would pass to it, not an address from machines.yaml.
  const isDirect = first('proxycommand') === undefined && first('proxyjump') === undefined
  const hasAddress = endpoint.address !== host.toLowerCase() && endpoint.address !== host
  return {
    address: hasAddress || !isDirect ? endpoint.address : fallback.address,
    user: set.user ? endpoint.user : fallback.user,
    port: set.port ? endpoint.port : fallback.port,
  }
}

async function readAnswer(
  lines: readonly string[],
  destination: Destination,
  { env, fallback }: { readonly env: Environment; readonly fallback: Fallback | undefined },
): Promise<SshConfig> {
  const { host } = destination
  const values = (keyword: string) => valuesOf(lines, keyword)
  const first = (keyword: string): string | undefined =>
    values(keyword).find((text) => text !== 'none')
  const endpoint = await findEndpoint(first, destination, { env, fallback })
  const [alias, jump, line] = ['hostkeyalias', 'proxyjump', 'proxycommand'].map(first)
  const tokens = {
    ...endpoint,
    ...{ host, hostKeyAlias: alias },
    ...(jump !== undefined && { proxyJump: jump.split(',') }),
  }
  if (line !== undefined && first('proxyusefdpass') === 'yes') throw passesDescriptors(host)
  const find = (path: string) => inHome(expandPath(path, tokens, env), env)
  const filesOf = async (keyword: string): Promise<readonly string[]> => {
    const files = values(keyword).map((path) => expandPath(path, tokens, env))
    const there = await Promise.all(files.map(exists))
    return files.filter((_, index) => there[index])
  }
  const keyFiles = async (): Promise<readonly string[]> => {
    // The private key may exist only in an agent or on a token.
    const files = values('identityfile').map(async (path) => {
      const file = expandPath(path, tokens, env)
      if (await exists(file)) return file
      return (await exists(`${file}.pub`)) ? `${file}.pub` : undefined
    })
    return (await Promise.all(files)).filter((file) => file !== undefined)
  }
  const [identityFiles, certificateFiles, agent] = await Promise.all([
    keyFiles(),
    filesOf('certificatefile'),
    agentOf(values('identityagent')[0], find),
  ])
  const knownHosts = ['userknownhostsfile', 'globalknownhostsfile']
    .flatMap(values)
    .flatMap(splitPaths)
    .filter((file) => file !== 'none')
  const files = await Promise.all(knownHosts.map(find))
  const builtIn = (await askBuiltInSsh(env)) ?? []
  return {
    ...endpoint,
    identityFiles,
    ...(certificateFiles.length > 0 && { certificateFiles }),
    ...(agent !== undefined && { agent }),
    ...(jump !== undefined && { proxyJump: jump.split(',') }),
    ...(line !== undefined && { proxyCommand: { shell: expandCommand(line, tokens, env) } }),
    settings: {
      ...readSettings(lines, builtIn),
      knownHosts: { files, ...(alias !== undefined && { alias }) },
    },
  }
}

const passesDescriptors = (host: string): UserError =>
  new UserError(
    'unsupported',
    `the SSH configuration for ${host} sets ProxyUseFdpass, which fleet does not support`,
    {
      hint: `use a ProxyCommand that carries the data itself, such as nc without -F; to see the configuration: ssh -G -- ${shellQuote(host)}`,
    },
  )

/** Options of {@link resolveSshConfig}. */
interface ResolveOptions {
  /** A file to read instead of ~/.ssh/config. */
  readonly configuration?: string | undefined
  readonly fallback?: Fallback | undefined
  /** The output of `ssh -G`, if it is already known. */
  readonly answer?: readonly string[] | undefined
}

/**
 * Determines how to log in to `destination` (`[user@]host[:port]`, or an alias from ~/.ssh/config), from the output of
 * `ssh -G` if ssh is installed. Throws kind `usage` for a malformed destination or configuration, and `unsupported` for
 * ProxyUseFdpass.
 */
export async function resolveSshConfig(
  destination: string,
  env: Environment,
  { configuration, fallback, answer }: ResolveOptions = {},
): Promise<SshConfig> {
  const parsed = parseDestination(destination)
  const lines = answer ?? (await askSsh(parsed, env, configuration))
  if (lines !== undefined) return readAnswer(lines, parsed, { env, fallback })
  return withoutSsh(parsed, env, fallback)
}

/** The SSH configuration of a host that is being added to the inventory. */
interface ExaminedConfig {
  readonly config: SshConfig
  /** Whether the user's configuration affects how to connect to the host, beyond the destination. */
  readonly isConfigured: boolean
  /** Returns the names of the settings that have no effect with the given client, as ssh_config(5) spells them. */
  readonly ignoredBy: (client: SshClient) => readonly string[]
  /** The output of `ssh -G`; absent if ssh is not installed. */
  readonly answer?: readonly string[]
}

/** Like {@link resolveSshConfig}, for a host that is being added to the inventory. */
export async function examineSshConfig(
  destination: string,
  env: Environment,
  configuration?: string,
): Promise<ExaminedConfig> {
  const parsed = parseDestination(destination)
  const [lines, system = []] = await Promise.all([
    askSsh(parsed, env, configuration),
    askSystemSsh(env),
  ])
  if (lines === undefined) {
    return { config: withoutSsh(parsed, env), isConfigured: false, ignoredBy: () => [] }
  }
  const client = (await needsOpenSsh(lines, env)) === undefined ? 'builtin' : 'openssh'
  return {
    config: await readAnswer(lines, parsed, { env, fallback: undefined }),
    // A ticket is used only with an alias, so a system-wide setting that allows tickets counts too.
    isConfigured:
      isConfigured(parsed, lines, { system, client }) ||
      (client === 'openssh' && allowsKerberos(lines)),
    ignoredBy: (client) => findIgnored(lines, system, client),
    answer: lines,
  }
}

function withoutSsh(parsed: Destination, env: Environment, fallback?: Fallback): SshConfig {
  return {
    address: fallback?.address ?? parsed.host,
    user: parsed.user ?? fallback?.user ?? env['USER'] ?? userInfo().username,
    port: parsed.port ?? fallback?.port ?? 22,
    identityFiles: [],
  }
}
