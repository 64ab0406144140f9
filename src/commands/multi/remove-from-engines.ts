import type { Engine } from '../../engine/engine.ts'
import { UserError } from '../../errors.ts'
import type { Invocation } from '../command.ts'
import { placeNames, referenceOf } from '../container/references.ts'
import { type Changed, changeEngines } from './change-engines.ts'
import { chooseEngines } from './choose-engines.ts'
import { confirmOnEngines } from './confirm-on-engines.ts'

/** An object that was removed. */
interface Named {
  readonly name: string
}

/** An object that was removed, with its machine if the machines were chosen by a selector. */
export type Removed = Changed<Named>

/** A request to remove named objects from engines. */
interface NamedRemoval {
  /** The kind of the objects. */
  readonly what: 'volume' | 'network'
  /** The names of the objects, which may have the form MACHINE/NAME. */
  readonly names: readonly string[]
  readonly yes: boolean
  readonly remove: (engine: Engine, name: string, signal: AbortSignal) => Promise<void>
}

/** Merges the errors of one machine into one error. All other objects have been removed. */
function joinErrors(errors: readonly UserError[]): UserError | undefined {
  const [first, ...others] = errors
  if (first === undefined || others.length === 0) return first
  const messages = errors.map(({ message }) => message).join('; ')
  return new UserError(first.kind, messages, { machine: first.machine, cause: first })
}

/**
 * Removes objects by name from the chosen machines, and prints those that were removed. If an object cannot be removed,
 * the remaining ones are still removed. If the machines were chosen by a selector, shows them first and asks for
 * confirmation.
 */
export async function removeFromEngines(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  { what, names, yes, remove }: NamedRemoval,
): Promise<number> {
  const { io, format, fleet } = invocation
  const { targets, isPlaced, namesOn } = await placeNames(invocation, names)
  const machines = await chooseEngines({ fleet, io, targets, format })
  const isSelected = targets.on.length > 0 || targets.retryFailed
  const hasVolumes = what === 'volume'
  if ((isSelected && !isPlaced) || (hasVolumes && machines.some((one) => one.protected))) {
    const items = names.map((name) => `${what} ${name}`)
    await confirmOnEngines(invocation, machines, {
      items,
      volumes: hasVolumes,
      yes: yes || isPlaced,
    })
  }
  const { reportFailures } = await changeEngines<Named>(
    { ...invocation, targets },
    {
      machines,
      async change(done, engine, signal, machine) {
        const errors: UserError[] = []
        for (const name of namesOn(machine)) {
          try {
            await remove(engine, name, signal)
            done.push({ name })
          } catch (error) {
            if (!(error instanceof UserError) || error.kind !== 'failed' || signal.aborted)
              throw error
            errors.push(error)
          }
        }
        const error = joinErrors(errors)
        if (error !== undefined) throw error
      },
      columns: [{ title: 'REMOVED', text: ({ name }) => name, keep: true }],
      name: ({ machine, name }) => referenceOf(machine, name),
    },
  )
  return reportFailures()
}
