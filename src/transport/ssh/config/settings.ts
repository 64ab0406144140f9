import { allowsKerberos } from './coverage.ts'
import type { KnownHostQuery } from '../host-keys/known-hosts.ts'
import { valueOf } from './answer.ts'

/** A method of authentication, as ssh_config(5) names it. */
type LoginMethod = 'publickey' | 'keyboard-interactive' | 'password'

const allMethods: readonly LoginMethod[] = ['publickey', 'keyboard-interactive', 'password']

/** Algorithms that a configuration chooses, best first (default: fleet's own). */
export interface SshAlgorithms {
  readonly kex?: readonly string[] | undefined
  readonly cipher?: readonly string[] | undefined
  readonly hmac?: readonly string[] | undefined
  readonly hostKey?: readonly string[] | undefined
  /** Signature algorithms for the user's keys. */
  readonly publicKey?: readonly string[] | undefined
}

/** Settings of the user's SSH configuration for one host, except its address and keys. */
export interface SshSettings {
  /** The known_hosts files, and the name of the host in them. */
  readonly knownHosts?: Pick<KnownHostQuery, 'alias' | 'files'> | undefined
  /** Whether the agent's keys are offered only if a key file contains the same key (`IdentitiesOnly`). */
  readonly identitiesOnly?: boolean | undefined
  /** The only IP version to use for the connection (`AddressFamily`). */
  readonly family?: 4 | 6 | undefined
  /** The local address or interface to connect from (`BindAddress`, `BindInterface`). */
  readonly bind?: { readonly address: string } | { readonly interface: string } | undefined
  readonly connectTimeoutMs?: number | undefined
  /**
   * A connection is considered lost after `seconds` times `count` without any data (`ServerAliveInterval`,
   * `ServerAliveCountMax`).
   */
  readonly alive?: { readonly seconds: number; readonly count: number } | undefined
  readonly algorithms?: SshAlgorithms | undefined
  /** The methods to try (default: all). Methods that prompt the user are tried in this order. */
  readonly methods?: readonly LoginMethod[] | undefined
  /** How many times to ask for a password (`NumberOfPasswordPrompts`). */
  readonly passwordPrompts?: number | undefined
  /** Whether a Kerberos ticket may be used, which only OpenSSH's client supports. */
  readonly kerberos?: boolean | undefined
}

const seconds = (value: string | undefined): number | undefined =>
  value !== undefined && /^\d+$/.test(value) && Number(value) > 0 ? Number(value) : undefined

function methodsOf(first: (keyword: string) => string | undefined): SshSettings['methods'] {
  const isOff = (method: LoginMethod): boolean => {
    if (method === 'publickey') return /^(?:no|false)$/.test(first('pubkeyauthentication') ?? '')
    if (method === 'password') return first('passwordauthentication') === 'no'
    return first('kbdinteractiveauthentication') === 'no'
  }
  const preferred = first('preferredauthentications')?.split(',') ?? allMethods
  const chosen = preferred.flatMap((name) => allMethods.filter((method) => method === name))
  const methods = chosen.filter((method) => !isOff(method))
  return methods.join(' ') === allMethods.join(' ') ? undefined : methods
}

/** Removes undefined properties, so that equal logins have equal JSON. */
function present<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Value
}

/** Parses the output of `ssh -G`. Algorithms are included only if they differ from ssh's built-in defaults. */
export function readSettings(lines: readonly string[], builtIn: readonly string[]): SshSettings {
  const first = (keyword: string): string | undefined => {
    const found = valueOf(lines, keyword)
    return found === 'none' ? undefined : found
  }
  const chosen = (keyword: string): readonly string[] | undefined => {
    const list = first(keyword)
    return list === undefined || list === valueOf(builtIn, keyword) ? undefined : list.split(',')
  }
  const algorithms = present({
    kex: chosen('kexalgorithms'),
    cipher: chosen('ciphers'),
    hmac: chosen('macs'),
    hostKey: chosen('hostkeyalgorithms'),
    publicKey: chosen('pubkeyacceptedalgorithms') ?? chosen('pubkeyacceptedkeytypes'),
  })
  const family = { inet: 4, inet6: 6 }[first('addressfamily') ?? ''] as 4 | 6 | undefined
  const [address, nic] = [first('bindaddress'), first('bindinterface')]
  const timeout = seconds(first('connecttimeout'))
  const interval = seconds(first('serveraliveinterval'))
  const count = Number(first('serveralivecountmax') ?? 3)
  const attempts = Number(first('numberofpasswordprompts') ?? 3)
  return present({
    identitiesOnly: first('identitiesonly') === 'yes' ? true : undefined,
    family,
    bind: address !== undefined ? { address } : nic !== undefined ? { interface: nic } : undefined,
    connectTimeoutMs: timeout && timeout * 1000,
    alive: interval && { seconds: interval, count: Math.max(1, count) },
    algorithms: Object.keys(algorithms).length > 0 ? algorithms : undefined,
    methods: methodsOf(first),
    passwordPrompts: attempts === 3 ? undefined : attempts,
    kerberos: allowsKerberos(lines) || undefined,
  }) as SshSettings
}
