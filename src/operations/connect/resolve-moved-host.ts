import { coversRange } from '../../drivers/net/cidrs.ts'
import type { Call } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import { type Machine, type ReadyMachine, requireHost } from '../../machine/machine.ts'
import { ignored } from '../../os/trace.ts'
import { isUnanswered } from '../../transport/ssh/connection-errors.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context } from '../context.ts'
import { findAddress } from './find-address.ts'
import { hasTunnel } from './find-tunnel.ts'

/** How long a provider may take to return the address of a host, in milliseconds. */
const lookUpTime = 15_000

/** Whether the host may have a new address: at the recorded one, either nothing answers or a different host does. */
const mayHaveMoved = (error: unknown): boolean =>
  error instanceof UserError && (error.kind === 'unreachable' || error.kind === 'host-key')

/**
 * Connects to a machine. If that fails at the recorded address, asks the provider once for the current address, updates
 * the record and connects there. A host behind a tunnel is not reached by its address, so this does not apply to it.
 * The error includes the provider's answer if that explains the failure.
 */
export async function resolveMovedHost(
  context: Context,
  machine: Machine,
  connect: (machine: ReadyMachine) => Promise<Transport>,
): Promise<Transport> {
  const recorded = { ...machine, host: requireHost(machine) }
  try {
    return await connect(recorded)
  } catch (error) {
    if (recorded.host.id === undefined || !mayHaveMoved(error)) throw error
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(lookUpTime)])
    const found = await findAddress(context, recorded, { signal, progress: () => {} }).catch(
      () => undefined, // the original connection error is more useful
    )
    if (found === undefined) throw error
    if (hasTunnel(recorded.host)) throw stateError(machine, found.state) ?? error
    if (found.machine.host.address !== recorded.host.address) return connect(found.machine)
    const call = { signal, progress: () => {} }
    throw (
      stateError(machine, found.state) ??
      (isUnanswered(error) ? await firewallError(context, found.machine, call) : undefined) ??
      error
    )
  }
}

/** Removes the prefix length from a range that consists of a single address. */
const plainAddress = (range: string): string => range.replace(/\/(?:32|128)$/, '')

/**
 * The error for a firewall that does not allow SSH from the current address of this computer, either because that
 * address has changed or because the firewall was changed at the provider. Undefined if no firewall explains the
 * failure.
 */
export async function firewallError(
  context: Context,
  machine: ReadyMachine,
  call: Call,
): Promise<UserError | undefined> {
  const { name, host, via } = machine
  if (via !== undefined) return undefined // the firewall sees the address of the jump host, not of this computer
  const { sshAccess } = await context.loadDriver(machine.driver)
  const allowed = await sshAccess?.allowed(host)
  if (sshAccess === undefined || allowed === undefined) return undefined
  const mine = await sshAccess.caller(host, call).catch((): string[] => [])
  const shut = mine.filter((one) => !allowed.some((range) => coversRange(range, one)))
  if (shut.length === 0) {
    for (const range of mine) {
      const firewall = await sshAccess
        .blockedBy?.(host, range, call)
        .catch(ignored('driver', `query ${name}'s firewall`))
      if (firewall === undefined) continue
      const address = plainAddress(range)
      return new UserError(
        'unreachable',
        `cannot reach ${name} at ${host.address}: ${firewall} does not allow SSH from this computer (${address})`,
        {
          machine: name,
          hint: `allow TCP port 22 from ${address} in ${firewall}`,
        },
      )
    }
    return undefined
  }
  return new UserError(
    'unreachable',
    `cannot reach ${name} at ${host.address}: its firewall allows SSH from ${allowed.join(', ')}, but not from this computer (${shut.map(plainAddress).join(', ')})`,
    { machine: name, hint: `to allow this computer: fleet allow ${name}` },
  )
}

function stateError({ name }: Machine, state: string): UserError | undefined {
  switch (state) {
    case 'paused':
    case 'stopped':
      return new UserError('unreachable', `${name} is ${state}`, {
        machine: name,
        hint: `to start the machine: fleet start ${name}`,
      })
    case 'absent':
      return new UserError('unreachable', `${name}'s host no longer exists`, {
        machine: name,
        hint: `to remove the entry: fleet rm ${name}`,
      })
    case 'starting':
    case 'stopping':
      return new UserError('unreachable', `${name} is ${state}`, {
        machine: name,
        hint: 'wait a moment, then try again',
      })
    default:
      return undefined
  }
}
