import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import { fingerprint } from '../../transport/ssh/keys/host-keys.ts'
import {
  type KnownHost,
  type KnownHostQuery,
  findKnownHost,
} from '../../transport/ssh/keys/known-hosts.ts'
import { hostKeyRevoked } from '../../transport/ssh/failure.ts'
import { type SshTarget, scanHostKey } from '../../transport/ssh/connect.ts'
import type { Context } from '../context.ts'

/** A key that a host shows and that is neither expected nor in known_hosts. */
export interface UnknownHostKey {
  /** The machine that the host is to become. */
  readonly machine: MachineName
  readonly address: string
  /** `ssh-ed25519` */
  readonly type: string
  /** `SHA256:…`, to be compared with what `ssh-keygen -lf` says on the host. */
  readonly fingerprint: string
}

/** What makes a new host's key believable. */
export interface HostKeyTrust {
  /** The fingerprint that the host must show. */
  readonly expected?: string | undefined
  /** Take whatever the host shows first. */
  readonly acceptNew?: boolean | undefined
  /** Asks the person. Absent: there is nobody to ask. */
  readonly confirm?: ((key: UnknownHostKey) => Promise<boolean>) | undefined
}

type Endpoint = Pick<SshTarget, 'address' | 'port' | 'via'> & { readonly name: MachineName }

/** Keys that may be pinned, and where they were known, if they were. */
interface TrustedKeys {
  readonly hostKeys: readonly string[]
  /** The lines of known_hosts that hold them. */
  readonly knownIn: KnownHost['trusted']
}

/**
 * The keys to pin for a new host: the expected one, else those that known_hosts has for it, else
 * the one it shows, if that may be taken or the person says so. Nobody has logged in by then. A key that
 * known_hosts marks as revoked is refused even if it is expected.
 * Throws kind `host-key` when the key is unknown, revoked or not the expected one, `cancelled` when the person says no.
 */
export async function trustHostKey(
  { env, signal }: Context,
  endpoint: Endpoint,
  trust: HostKeyTrust,
  knownHosts: Pick<KnownHostQuery, 'alias' | 'files'> = {},
): Promise<TrustedKeys> {
  const { address, port } = endpoint
  const known = await findKnownHost({ address, port, ...knownHosts }, env)
  if (trust.expected === undefined && known.trusted.length > 0) {
    return { hostKeys: known.trusted.map(({ key }) => key), knownIn: known.trusted }
  }
  const shown = await scanHostKey(endpoint, { signal })
  const usable = [shown, ...known.trusted.map(({ key }) => key)] as const
  const key = trust.expected === undefined ? shown : checkExpected(endpoint, trust.expected, usable)
  checkNotRevoked(endpoint, key, known)
  if (trust.expected === undefined && !trust.acceptNew) await confirmKey(endpoint, trust, shown)
  return { hostKeys: [key], knownIn: [] }
}

/** Throws kind `host-key` when known_hosts marks the key as revoked (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function checkNotRevoked(
  { name, address }: Pick<Endpoint, 'name' | 'address'>,
  key: string,
  { revoked }: Pick<KnownHost, 'revoked'>,
): void {
  const line = revoked.find((one) => one.key === key)
  if (line !== undefined) throw hostKeyRevoked({ machine: name, address }, line)
}

/** Compares fingerprints; people leave out `SHA256:`, or copy the padding. */
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
    `the host key of ${address} is ${fingerprint(shown)} (${typeOf(shown)}), but ${expected} was expected`,
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
        hint: `compare it with the host's own, then pass --host-key ${key.fingerprint}, or --accept-new to trust the first key shown`,
      },
    )
  }
  if (!(await confirm(key))) {
    throw new UserError(
      'cancelled',
      `the host key of ${address} was not accepted: nothing was changed`,
      {
        machine: name,
      },
    )
  }
}

const typeOf = (key: string): string => key.split(' ')[0] ?? ''
