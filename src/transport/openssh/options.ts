import { usualAlive } from '../ssh/keepalive.ts'
import {
  checkHostName,
  checkUser,
  formatSshPath,
  unwritableError,
} from '../../machine/ssh-config-text.ts'
import { parseDestination } from '../ssh/destination.ts'
import type { SshTarget } from '../ssh/connect.ts'
import { authorityMark } from '../ssh/host-keys/host-key.ts'
import type { KnownHostKey } from '../ssh/host-keys/known-hosts.ts'
import { type SshProgram, isSince } from './program.ts'

/** The files and sockets of a connection. */
export interface MasterFiles {
  /** The path of the socket through which ssh shares the connection. */
  readonly socket: string
  /** The path of the known_hosts file with the pinned keys. */
  readonly knownHosts: string
  /**
   * The command that ssh uses to connect to the host; undefined if ssh connects directly or as ssh_config specifies.
   */
  readonly proxyCommand?: string | undefined
  /** The socket that is forwarded to the host as its SSH agent. */
  readonly agent?: string | undefined
}

/** Options that fleet always sets. They precede the options in the user's ssh_config and therefore take effect. */
const fixed: readonly (readonly [keyword: string, value: string])[] = [
  ['ControlPersist', 'no'],
  ['StrictHostKeyChecking', 'yes'],
  ['GlobalKnownHostsFile', '/dev/null'],
  ['UpdateHostKeys', 'no'],
  ['VerifyHostKeyDNS', 'no'],
  ['CheckHostIP', 'no'],
  ['NoHostAuthenticationForLocalhost', 'no'],
  ['ClearAllForwardings', 'yes'],
  ['ForwardX11', 'no'],
  ['GSSAPIDelegateCredentials', 'no'],
  ['Tunnel', 'no'],
  ['PermitLocalCommand', 'no'],
  ['RemoteCommand', 'none'],
  ['RequestTTY', 'no'],
  ['StreamLocalBindUnlink', 'no'],
  ['TCPKeepAlive', 'yes'],
]

/** Options that were introduced in later releases of OpenSSH, each with its first release. */
const later: readonly (readonly [major: number, minor: number, keyword: string, value: string])[] =
  [
    [8, 5, 'KnownHostsCommand', 'none'],
    [8, 7, 'SessionType', 'none'],
    [8, 7, 'ForkAfterAuthentication', 'no'],
    [8, 7, 'StdinNull', 'yes'],
  ]

/**
 * Returns the arguments of the `ssh` process that logs in to a host and shares the connection. The alias selects the
 * settings in ssh_config; the address, port and user come from the target.
 */
export function masterArguments(
  target: SshTarget,
  { socket, knownHosts, proxyCommand, agent: forwarded }: MasterFiles,
  options: {
    readonly program: SshProgram
    readonly canAsk: boolean
    readonly connectTimeoutMs: number
    /** `-F` and its argument, if the user's ssh_config is not in its default location; otherwise empty. */
    readonly configFile: readonly string[]
  },
): readonly string[] {
  const { machine, address, port, user, identityFiles, certificateFiles = [], agent } = target
  const alias = target.alias && parseDestination(target.alias.destination)
  const { program, canAsk, connectTimeoutMs, configFile } = options
  const host = checkHostName(
    machine,
    alias === undefined ? 'address' : 'alias',
    alias?.host ?? address,
  )
  const alive = target.settings?.alive ?? usualAlive
  const path = (field: string, file: string) => formatSshPath(machine, field, file)
  const agentPath = agent && (agent.socket === undefined ? 'none' : path('agent', agent.socket))
  const settings: readonly (readonly [keyword: string, value: string | undefined])[] = [
    ['ControlMaster', 'yes'],
    ['ControlPath', path('socket', socket)],
    ['UserKnownHostsFile', path('known hosts file', knownHosts)],
    ...fixed,
    ['ForwardAgent', forwarded === undefined ? 'no' : path('agent', forwarded)],
    ['ServerAliveInterval', String(alive.seconds)],
    ['ServerAliveCountMax', String(alive.count)],
    ...later.flatMap(([major, minor, keyword, value]) =>
      isSince(program, major, minor) ? [[keyword, value] as const] : [],
    ),
    ['BatchMode', canAsk ? 'no' : 'yes'],
    ['ConnectTimeout', String(Math.max(1, Math.ceil(connectTimeoutMs / 1000)))],
    ['HostName', checkHostName(machine, 'address', address).replaceAll('%', '%%')],
    ['ProxyCommand', proxyCommand],
    ...identityFiles.map((file) => ['IdentityFile', path('key file', file)] as const),
    ...certificateFiles.map((file) => ['CertificateFile', path('certificate', file)] as const),
    ['IdentityAgent', agentPath],
  ]
  return [
    ...configFile,
    ...['-N', '-T', '-v'],
    ...settings.flatMap(([keyword, value]) =>
      value === undefined ? [] : ['-o', `${keyword}=${value}`],
    ),
    ...(user === '' ? [] : ['-l', checkUser(machine, user)]),
    ...['-p', String(port)],
    ...['--', host],
  ]
}

const pinnedKey = /^(?:@cert-authority )?[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/

/**
 * Formats a known_hosts file (sshd(8)) with the pinned keys of one host. They apply to any host name, since ssh_config
 * may change the name. A pinned key may be a certificate authority: `@cert-authority TYPE BASE64`.
 */
export function formatPinnedKeys(
  { machine, hostKeys }: Pick<SshTarget, 'machine' | 'hostKeys'>,
  revoked: readonly KnownHostKey[],
): string {
  const lines = hostKeys.map((key) => {
    if (!pinnedKey.test(key)) {
      throw unwritableError(machine, 'host key', key, 'the value is not a public key (TYPE BASE64)')
    }
    return key.startsWith(authorityMark)
      ? `${authorityMark}* ${key.slice(authorityMark.length)}`
      : `* ${key}`
  })
  return [...lines, ...revoked.map(({ key }) => `@revoked * ${key}`), ''].join('\n')
}
