import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import { type Machine, requireHost } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { fingerprint } from '../../transport/ssh/host-keys/host-key.ts'
import { findKnownHost } from '../../transport/ssh/host-keys/known-hosts.ts'
import { scanHostKey } from '../../transport/ssh/connect.ts'
import type { Context } from '../context.ts'
import { describeLogin } from '../connect/describe-login.ts'
import { connectJumpHost } from '../connect/jump-host.ts'
import { checkNotRevoked } from '../trust/trust-host-key.ts'

/** The fingerprints of the pinned host keys and of the current host key. */
export interface KeyChange {
  readonly before: readonly string[]
  readonly after: string
}

/** The error when the current key of a host is already pinned. */
export class KeyUnchanged extends UserError {
  constructor(machine: MachineName, key: string) {
    super('usage', `the host key is still ${key}: nothing was changed`, { machine })
  }
}

/**
 * Replaces the pinned key of a host with its current one, after `confirm`. Throws {@link KeyUnchanged} when the key has
 * not changed, kind `cancelled` when the new key is not confirmed, and `failed` when another command has changed the
 * entry.
 */
export async function rekeyMachine(
  context: Context,
  machine: Machine,
  confirm: (change: KeyChange) => Promise<boolean>,
): Promise<KeyChange> {
  const { name } = machine
  const host = requireHost(machine)
  if (host.address === undefined) {
    throw new UserError(
      'usage',
      `${name} has no host key, because fleet does not connect to it over SSH`,
      { machine: name },
    )
  }
  const via = await connectJumpHost(context, machine)
  const endpoint = { ...(await describeLogin(context, { ...machine, host })), via }
  const shown = await scanHostKey(endpoint, context)
  const { address, port } = endpoint
  checkNotRevoked({ name, address }, shown, await findKnownHost({ address, port }, context.env))
  const change = { before: (host.hostKeys ?? []).map(fingerprint), after: fingerprint(shown) }
  if (change.before.includes(change.after)) {
    throw new KeyUnchanged(name, change.after)
  }
  if (!(await confirm(change))) {
    throw new UserError('cancelled', 'cancelled: nothing was changed', { machine: name })
  }
  const store = await context.inventory()
  await store.update(name, (entry) => {
    if (entry === undefined || !isDeepStrictEqual(entry.host, host)) throw changedMeanwhile(name)
    return { ...entry, host: { ...host, hostKeys: [shown] } }
  })
  return change
}

/** The confirmation was for the host of the earlier entry, so the new key must not be pinned. */
const changedMeanwhile = (name: MachineName): UserError =>
  new UserError(
    'failed',
    `the entry for ${name} was changed by another command, so the new key was not pinned`,
    {
      machine: name,
      hint: `check the entry (fleet inspect ${name}), then try again`,
    },
  )
