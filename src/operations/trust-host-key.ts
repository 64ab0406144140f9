import { UserError } from '../errors.ts'
import type { MachineName } from '../machine/name.ts'
import { fingerprint } from '../transport/host-keys.ts'
import { findKnownHostKeys } from '../transport/known-hosts.ts'
import { type SshTarget, scanHostKey } from '../transport/ssh.ts'
import type { Context } from './context.ts'

/** A key that a host shows and that nothing vouches for yet. */
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

/**
 * The keys to pin for a new host: the expected one, else those that known_hosts has for it, else
 * the one it shows, if that may be taken or the person says so. Nobody has logged in by then.
 * Throws kind `host-key` when nothing vouches for the key, `cancelled` when the person says no.
 */
export async function trustHostKey(
  { env, signal }: Context,
  endpoint: Endpoint,
  trust: HostKeyTrust,
): Promise<string[]> {
  const { address, port } = endpoint
  const known = await findKnownHostKeys(address, port, env)
  if (trust.expected === undefined && known.length > 0) return [...known]
  const shown = await scanHostKey(endpoint, { signal })
  if (trust.expected !== undefined) {
    return [checkExpected(endpoint, trust.expected, [shown, ...known])]
  }
  if (trust.acceptNew) return [shown]
  await confirmKey(endpoint, trust, shown)
  return [shown]
}

/** Compares fingerprints; people leave out `SHA256:`, or copy the padding. */
const sameFingerprint = (key: string, typed: string): boolean =>
  fingerprint(key) === `SHA256:${typed.replace(/^SHA256:/i, '').replace(/=+$/, '')}`

function checkExpected(
  { name, address }: Endpoint,
  expected: string,
  keys: readonly [string, ...string[]],
): string {
  const found = keys.find((key) => sameFingerprint(key, expected))
  if (found !== undefined) return found
  const [shown] = keys
  throw new UserError(
    'host-key',
    `${address} shows the ${typeOf(shown)} key ${fingerprint(shown)}, and ${expected} is expected`,
    {
      machine: name,
      hint: 'find out why before going on: this may be another host than the one you mean',
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
      `nothing vouches for the key of ${address}: ${key.fingerprint}`,
      {
        machine: name,
        hint: `if it is the right one, say so: --host-key ${key.fingerprint}; --accept-new takes any`,
      },
    )
  }
  if (!(await confirm(key))) {
    throw new UserError(
      'cancelled',
      `the key of ${address} was not accepted: nothing was changed`,
      {
        machine: name,
      },
    )
  }
}

const typeOf = (key: string): string => key.split(' ')[0] ?? ''
