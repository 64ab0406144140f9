import { coversRange, parseCidrs } from '../../drivers/net/cidrs.ts'
import { checkOptions } from '../../drivers/options/option-flags.ts'
import { UserError } from '../../errors.ts'
import { type Machine, requireHost } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { recordResources } from '../plan/update-machine.ts'
import { setMachine } from '../inventory/set-machine.ts'

/** The address ranges from which SSH to a machine is allowed. */
export interface AllowedCaller {
  readonly name: string
  /** The addresses of this computer, each as a CIDR range. */
  readonly caller: readonly string[]
  /** The ranges in `caller` that this call has added. */
  readonly added: readonly string[]
  /** All CIDR ranges from which SSH is now allowed. */
  readonly allowed: readonly string[]
}

const notIn = (ranges: readonly string[], others: readonly string[]): readonly string[] =>
  others.filter((one) => !ranges.some((range) => coversRange(range, one)))

/**
 * Allows SSH to a machine from the current address of this computer, in addition to the ranges that are already
 * allowed. If the entry sets the allowed ranges, the entry is updated first, so that an interrupted run can be
 * repeated. Throws kind `unsupported` when the driver does not manage a firewall, and `usage` when fleet does not
 * manage the firewall of this host.
 */
export async function allowCaller(
  context: Context,
  machine: Machine,
  calls: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<AllowedCaller> {
  const { name, driver: driverName } = machine
  const host = requireHost(machine)
  const { sshAccess, update } = await context.loadDriver(driverName)
  if (sshAccess === undefined || update === undefined) {
    const message = `the ${driverName} driver does not manage ${name}'s firewall`
    throw new UserError('unsupported', message, {
      machine: name,
      hint: 'allow port 22 from your address in the host or network firewall',
    })
  }
  const { option } = sshAccess
  const before = await sshAccess.allowed(host)
  if (before === undefined) {
    throw new UserError(
      'usage',
      `fleet either does not manage ${name}'s firewall or connects to the host from a private address`,
      {
        machine: name,
        hint: `allow port 22 from your address in the firewall; if fleet created the host, use fleet set ${name} ${option}=RANGES`,
      },
    )
  }
  calls.progress('look up your IP address')
  const caller = await sshAccess.caller(host, calls)
  const added = notIn(before, caller)
  if (added.length === 0) return { name, caller, added, allowed: before }
  const { defaults } = await (await context.inventory()).read()
  const definition = await context.driver(driverName)
  const options = checkOptions(definition, machine.options ?? {}, defaults[driverName])
  const current = options[option]
  if (typeof current === 'string') {
    const missing = notIn(parseCidrs(current) ?? [], added)
    const value = [current, ...missing].join(',')
    if (missing.length > 0) await setMachine(context, name, [{ key: option, value }])
  }
  const allowed = [...before, ...added]
  calls.progress('allow SSH', added.join(', '))
  const request = { options: { ...options, [option]: allowed.join(',') }, only: new Set([option]) }
  const notes = await update.change(host, request, calls)
  if (notes[option] === undefined) {
    throw new UserError(
      'failed',
      `${name}'s firewall was not changed, because it does not have this machine's tags`,
      {
        machine: name,
        hint: `to check the machine's saved state: fleet inspect ${name}`,
      },
    )
  }
  await recordResources(context, { ...machine, host }, notes)
  return { name, caller, added, allowed }
}
