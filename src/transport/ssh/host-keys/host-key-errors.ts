import { UserError } from '../../../errors.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { type Endpoint, quoteServer } from '../connection-errors.ts'
import { authorityMark, fingerprint } from './host-key.ts'
import type { KnownHostKey } from './known-hosts.ts'

const changedHint = (machine: string): string =>
  `this may be an attack. If the host was rebuilt, accept the new key: fleet rekey ${machine}`

/** Describes a pinned key, or a certificate of a pinned authority. */
const describePinned = (key: string): string =>
  key.startsWith(authorityMark)
    ? `a certificate signed by ${fingerprint(key.slice(authorityMark.length))}`
    : fingerprint(key)

/** The host presented a key that is not pinned. Keys are in the format `TYPE BASE64`. */
export class HostKeyChanged extends UserError {
  readonly shown: string

  constructor({ machine, address }: Endpoint, pinned: readonly string[], shown: string) {
    const expected = pinned.map(describePinned).join(' or ')
    super(
      'host-key',
      `the host key for ${machine} (${address}) has changed: got ${fingerprint(shown)}, expected ${expected}`,
      {
        machine,
        hint: changedHint(machine),
      },
    )
    this.shown = shown
  }
}

/**
 * Creates an error like {@link HostKeyChanged}, for when only the fingerprint of the key is known. `why` is the reason
 * why ssh rejected a certificate.
 */
export function hostKeyRejected(
  { machine, address }: Endpoint,
  pinned: readonly string[],
  shown: string,
  why: string | undefined,
): UserError {
  const expected = pinned.map(describePinned).join(' or ')
  const reason = why === undefined ? '' : ` (${quoteServer(why)})`
  return new UserError(
    'host-key',
    `the host key for ${machine} (${address}) has changed: got ${shown}, expected ${expected}${reason}`,
    { machine, hint: changedHint(machine) },
  )
}

/** Creates the error for a host that is not in the inventory yet and whose key does not match known_hosts. */
export function knownHostChanged(
  { machine, address, port }: Pick<Endpoint, 'machine' | 'address' | 'port'>,
  known: readonly KnownHostKey[],
  shown: string,
): UserError {
  const lines = known.map(({ key, file, line }) => `${fingerprint(key)} in ${file}, line ${line}`)
  const name = port === 22 ? address : `[${address}]:${port}`
  const files = [...new Set(known.map(({ file }) => file))]
  const removals = files.map((file) => {
    const sudo = file.startsWith('/etc/') ? 'sudo ' : '' // a system file
    return `${sudo}ssh-keygen -f ${shellQuote(file)} -R ${shellQuote(name)}`
  })
  return new UserError(
    'host-key',
    `the host key for ${address} does not match known_hosts: got ${fingerprint(shown)}, expected ${lines.join('; ')}`,
    {
      machine,
      hint: `this may be an attack. If the host was rebuilt or its address was reused, remove the old key and try again: ${removals.join('; ')}`,
    },
  )
}

/** Creates the error for a key that a known_hosts file marks as revoked. */
export const hostKeyRevoked = (
  { machine, address }: Pick<Endpoint, 'machine' | 'address'>,
  { key, file, line }: KnownHostKey,
): UserError =>
  new UserError(
    'host-key',
    `the host key for ${machine} (${address}), ${fingerprint(key)}, is marked @revoked in ${file}, line ${line}`,
    {
      machine,
      hint: 'generate a new host key on the host, or remove the line if it is wrong: an attacker may have the revoked key',
    },
  )

/** Creates the error for a machine without a pinned host key: without one, no host can be trusted. */
export const hostKeyMissing = ({ machine, address }: Endpoint): UserError =>
  new UserError('host-key', `no host key is pinned for ${machine} (${address})`, {
    machine,
    hint: `to read and pin the host key: fleet rekey ${machine}`,
  })
