import { UserError } from '../errors.ts'
import type { Machine } from '../machine/machine.ts'
import { fingerprint } from '../transport/host-keys.ts'
import { scanHostKey } from '../transport/ssh.ts'
import { findMachine } from './choose-machines.ts'
import type { Context } from './context.ts'

/** A host's key as pinned, and as the host shows it now: fingerprints. */
export interface KeyChange {
  readonly before: readonly string[]
  readonly after: string
}

/**
 * Pins the key that a host shows now in place of the one before, once `confirm` says so.
 * Throws kind `usage` when it is the same still, `cancelled` when it is not confirmed.
 */
export async function rekeyMachine(
  context: Context,
  machine: Machine,
  confirm: (change: KeyChange) => Promise<boolean>,
): Promise<KeyChange> {
  const { name, host, via } = machine
  if (host?.address === undefined) {
    throw new UserError('usage', `${name} is not reached over SSH: it has no host key`, {
      machine: name,
    })
  }
  const store = await context.inventory()
  const jump = via && (await context.connect(findMachine(await store.read(), via)))
  const endpoint = { address: host.address, port: host.port ?? 22, via: jump || undefined }
  const shown = await scanHostKey(endpoint, { signal: context.signal })
  const change = { before: (host.hostKeys ?? []).map(fingerprint), after: fingerprint(shown) }
  if (change.before.includes(change.after)) {
    throw new UserError(
      'usage',
      `the key of ${name} is ${change.after} still: nothing was changed`,
      {
        machine: name,
      },
    )
  }
  if (!(await confirm(change))) {
    throw new UserError('cancelled', 'cancelled: nothing was changed', { machine: name })
  }
  await store.update(
    name,
    (entry) => entry?.host && { ...entry, host: { ...entry.host, hostKeys: [shown] } },
  )
  return change
}
