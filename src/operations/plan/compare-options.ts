import { checkOptions, optionFlags } from '../../drivers/options/option-flags.ts'
import type { Difference } from '../../drivers/update.ts'
import type { ReadyMachine, HostStatus } from '../../machine/machine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Change, PlanPart } from './change-plan.ts'
import type { Context } from '../context.ts'
import { planDestructive } from './destructive-changes.ts'

/** The options of a machine, and the differences between them and its host. */
export interface Comparison {
  readonly options: Readonly<Record<string, unknown>>
  readonly differences: readonly Difference[]
}

/**
 * Compares a host with the options in its entry and in the inventory's defaults. Default values in the driver's schema
 * are not enforced on existing hosts. For a host that fleet did not create, only the options in its own entry count.
 */
export async function compareOptions(
  context: Context,
  { defaults }: Inventory,
  { driver: driverName, options: given = {}, host }: ReadyMachine,
  status: HostStatus,
): Promise<Comparison> {
  const { update } = await context.loadDriver(driverName)
  if (update === undefined) return { options: given, differences: [] }
  const definition = await context.driver(driverName)
  const shared = defaults[driverName] ?? {}
  const options = checkOptions(definition, given, shared)
  const call = { signal: context.signal, progress: () => {} }
  const all = await update.compare(host, options, status, call)
  if (all.length === 0) return { options, differences: [] }
  const isMade = host.token !== undefined
  const fallbacks = new Set(
    optionFlags(definition)
      .filter((flag) => flag.default !== undefined)
      .map(({ key }) => key),
  )
  const counts = ({ option }: Difference): boolean =>
    option in given || (isMade && (option in shared || !fallbacks.has(option)))
  return { options, differences: all.filter(counts) }
}

const inWords = ({ option, from, to, why }: Difference): string =>
  `${option} ${from} -> ${to}${why === undefined ? '' : `: ${why}`}`

const optionsOf = (differences: readonly Difference[]): NonNullable<Change['options']> =>
  differences.map(({ option, from, to }) => ({ option, from, to }))

/** Plans the changes that apply the options of a machine to its host. */
export async function planOptions(
  context: Context,
  inventory: Inventory,
  machine: ReadyMachine,
  status: HostStatus,
): Promise<PlanPart> {
  const { name, host } = machine
  const { differences } = await compareOptions(context, inventory, machine, status)
  const [inPlace, byNew] = [
    differences.filter(({ how }) => how !== 'replace'),
    differences.filter(({ how }) => how === 'replace'),
  ]
  const changes: readonly Change[] =
    inPlace.length === 0
      ? []
      : [
          {
            machine: name,
            action: 'change',
            why: inPlace.map(inWords).join(', '),
            ...(inPlace.some(({ how }) => how === 'stop') && { stops: true }),
            options: optionsOf(inPlace),
          },
        ]
  if (byNew.length === 0) return { changes }
  const why = byNew.map(inWords).join(', ')
  if (host.token === undefined) {
    const hint =
      'restore the options in the entry: fleet does not replace hosts that it did not create'
    return {
      changes,
      issues: [{ machine: name, why: `the host must be replaced to change ${why}`, hint }],
    }
  }
  const destructive = planDestructive(machine, {
    action: 'replace',
    why,
    options: optionsOf(byNew),
  })
  return { ...destructive, changes: [...changes, ...(destructive.changes ?? [])] }
}
