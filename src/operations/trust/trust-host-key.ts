import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import { fingerprint } from '../../transport/ssh/host-keys/host-key.ts'
import { type KnownHost, findKnownHost } from '../../transport/ssh/host-keys/known-hosts.ts'
import { hostKeyRevoked } from '../../transport/ssh/host-keys/host-key-errors.ts'
import { type SshTarget, scanHostKey } from '../../transport/ssh/connect.ts'
import { isCertified } from '../../transport/ssh/host-keys/host-certificate.ts'
import type { Context } from '../context.ts'

/** A host key that is neither the expected one nor in known_hosts. */
export interface UnknownHostKey {
  /** The name of the new machine. */
  readonly machine: MachineName
  readonly address: string
  /** The type of the key, such as `ssh-ed25519`. */
  readonly type: string
  /** The fingerprint, in the format that `ssh-keygen -lf` prints on the host: `SHA256:…`. */
  readonly fingerprint: string
}

/** How to verify the key of a new host. */
export interface HostKeyTrust {
  /** The fingerprint that the key must have. */
  readonly expected?: string | undefined
  /** Whether to accept the first key that the host presents. */
  readonly acceptNew?: boolean | undefined
  /** Asks the user whether to trust an unknown key; absent if no one can answer. */
  readonly confirm?: ((key: UnknownHostKey) => Promise<boolean>) | undefined
}

type Endpoint = Pick<
  SshTarget,
  'address' | 'port' | 'via' | 'proxyCommand' | 'settings' | 'destination'
> & {
  readonly name: MachineName
}

/** The keys to pin, and where they come from. */
interface TrustedKeys {
  readonly hostKeys: readonly string[]
  /** The lines of known_hosts on which the trust in the keys is based; empty if they are trusted for another reason. */
  readonly knownIn: KnownHost['trusted']
}

/**
 * Finds the keys to pin for a new host, before the first login: the expected one, or else those in known_hosts, or else
 * the current one if it may be accepted or the user confirms it. A key that is revoked in known_hosts is refused even
 * if it is expected. Throws kind `host-key` when the key is unknown, revoked or not the expected one, and `cancelled`
 * when the user declines it.
 */
export async function trustHostKey(
  { env, signal }: Context,
  endpoint: Endpoint,
  trust: HostKeyTrust,
): Promise<TrustedKeys> {
  const { address, port, settings } = endpoint
  const known = await findKnownHost({ address, port, ...settings?.knownHosts }, env)
  if (trust.expected === undefined && known.trusted.length > 0) {
    return { hostKeys: known.trusted.map(({ key }) => key), knownIn: known.trusted }
  }
  const shown = await scanHostKey(endpoint, { signal, env })
  const usable = [shown, ...known.trusted.map(({ key }) => key)] as const
  const key = trust.expected === undefined ? shown : checkExpected(endpoint, trust.expected, usable)
  checkNotRevoked(endpoint, key, known)
  const isUnknown = trust.expected === undefined && !trust.acceptNew
  if (
    isUnknown &&
    !(await isCertified(
      { ...endpoint, machine: endpoint.name, user: 'fleet' },
      key,
      known.authorities,
      { env, signal },
    ))
  )
    await confirmKey(endpoint, trust, shown)
  return { hostKeys: [key], knownIn: [] }
}

/** Throws kind `host-key` when the key is revoked in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function checkNotRevoked(
  { name, address }: Pick<Endpoint, 'name' | 'address'>,
  key: string,
  { revoked }: Pick<KnownHost, 'revoked'>,
): void {
  const line = revoked.find((one) => one.key === key)
  if (line !== undefined) throw hostKeyRevoked({ machine: name, address }, line)
}

/** Compares a key with a fingerprint that the user has typed, with or without `SHA256:` and padding. */
const sameFingerprint = (key: string, typed: string): boolean =>
  fingerprint(key) === `SHA256:${typed.replace(/^SHA256:/i, '').replace(/=+$/, '')}`

function checkExpected(
  { name, address }: Endpoint,
  expected: string,
  keys: readonly [string, ...(readonly string[])],
): string {
  const found = keys.find((key) => sameFingerprint(key, expected))
  if (found !== undefined) return found
  const [shown] = keys
  throw new UserError(
    'host-key',
    `the host key for ${address} is ${fingerprint(shown)} (${typeOf(shown)}), but ${expected} was expected`,
    {
      machine: name,
      hint: 'find out why before you continue: this may be a different host',
    },
  )
}

async function confirmKey(
  { name, address }: Endpoint,
  { confirm }: HostKeyTrust,
  shown: string,
): Promise<void> {
  const key = { machine: name, address, type: typeOf(shown), fingerprint: fingerprint(shown) }
  if (confirm === undefined) {
    throw new UserError(
      'host-key',
      `unknown host key for ${address}: ${key.fingerprint} (${key.type})`,
      {
        machine: name,
        hint: `compare the fingerprint with the key on the host, then pass --host-key ${key.fingerprint}, or --accept-new to trust the key that the host presents`,
      },
    )
  }
  if (!(await confirm(key))) {
    throw new UserError(
      'cancelled',
      `the host key for ${address} was not accepted; nothing was changed`,
      {
        machine: name,
      },
    )
  }
}

const typeOf = (key: string): string => key.split(' ')[0] ?? ''
