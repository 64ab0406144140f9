import { inspectContainer } from '../../engine/containers.ts'
import type { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { fanOutInOrder } from './fan-out.ts'
import type { LogSource } from './read-logs.ts'

/** Containers that were found, and what kept others from being found. */
interface Found {
  readonly found: readonly LogSource[]
  readonly failures: readonly {
    readonly machine: { readonly name: string }
    readonly error: UserError
  }[]
}

/** How containers are called. */
interface Wanted {
  /** Whether the machine of each is known: then it needs to have all that are called there. */
  readonly isPlaced: boolean
  readonly namesOn: (machine: string) => readonly string[]
}

/**
 * The containers that are wanted on several machines. Unless it is said which are where, a machine needs to have only one of
 * them, for a fleet's machines differ; one that has none counts as failed.
 */
export async function findContainers(
  context: Context,
  machines: readonly Machine[],
  { isPlaced, namesOn }: Wanted,
): Promise<Found> {
  const find = async (machine: Machine, signal: AbortSignal): Promise<LogSource[]> => {
    const engine = await context.engine(machine)
    const names = namesOn(machine.name)
    const answers = await Promise.allSettled(
      names.map((name) => inspectContainer(engine, name, { signal })),
    )
    const present = names.filter((_, index) => answers[index]?.status === 'fulfilled')
    const absent = answers.find((answer) => answer.status === 'rejected')
    const enough = isPlaced || machines.length === 1 ? absent === undefined : present.length > 0
    if (!enough) throw absent?.reason
    return present.map((container) => ({ machine: machine.name, container, engine }))
  }
  const outcomes = await fanOutInOrder(machines, find, { signal: context.signal })
  return {
    found: outcomes.flatMap((outcome) => ('value' in outcome ? outcome.value : [])),
    failures: outcomes.filter((outcome) => 'error' in outcome),
  }
}
