import { inspectContainer } from '../../engine/containers.ts'
import type { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { fanOutInOrder } from './fan-out.ts'
import type { LogSource } from './read-logs.ts'

/** The containers that were found, and the errors for machines on which none was found. */
interface Found {
  readonly found: readonly LogSource[]
  readonly failures: readonly {
    readonly machine: { readonly name: string }
    readonly error: UserError
  }[]
}

/** The names of the containers to find. */
interface ContainerNames {
  /**
   * Whether the user has specified the machine of each container. If so, all containers that are specified for a
   * machine must exist on it.
   */
  readonly isPlaced: boolean
  readonly namesOn: (machine: string) => readonly string[]
}

/**
 * Finds containers by name on several machines. If the user has not specified their machines, each machine must have at
 * least one of the containers; a machine with none of them counts as failed.
 */
export async function findLogSources(
  context: Context,
  machines: readonly Machine[],
  { isPlaced, namesOn }: ContainerNames,
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
