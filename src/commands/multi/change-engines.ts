import type { Engine } from '../../engine/engine.ts'
import type { Machine } from '../../machine/machine.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import type { Invocation } from '../command.ts'
import { askEngines, machineColumn } from './query-engines.ts'

/** Changes to the engines of chosen machines. */
interface EngineChanges<Done extends object> {
  readonly machines: readonly Machine[]
  /** Changes one engine. Adds each change to `done` as soon as it is complete. */
  readonly change: (
    done: Done[],
    engine: Engine,
    signal: AbortSignal,
    machine: string,
  ) => Promise<void>
  readonly columns: readonly Column<Changed<Done>>[]
  /** Returns what `--quiet` prints for a row. */
  readonly name?: (row: Changed<Done>) => string
  /** The default time limit for each engine, in milliseconds. */
  readonly timeMs?: number
}

/** A completed change, with its machine if the machines were chosen by a selector. */
export type Changed<Done> = Done & { readonly machine?: string }

/**
 * Changes the engines of machines, and prints the completed changes, even those on machines that failed midway. Then
 * throws as `askEngines` does.
 */
export async function changeEngines<Done extends object>(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  { machines, change, columns, name, timeMs }: EngineChanges<Done>,
): Promise<{
  readonly rows: readonly Changed<Done>[]
  readonly reportFailures: () => number
}> {
  const { io, format, targets } = invocation
  const { choosesMany } = await import('../../operations/inventory/choose-machines.ts')
  const many = choosesMany(targets)
  const done = new Map<string, Done[]>()
  const rows = (): readonly Changed<Done>[] =>
    machines.flatMap(({ name: machine }) =>
      (done.get(machine) ?? []).map((one) => (many ? { machine, ...one } : one)),
    )
  const write = () =>
    writeRows(io, format, {
      rows: rows(),
      columns: many ? [machineColumn, ...columns] : columns,
      ...(name && { name }),
    })
  const { reportFailures } = await askEngines(
    invocation,
    async (engine, signal, machine) => {
      const own: Done[] = []
      done.set(machine, own)
      await change(own, engine, signal, machine)
    },
    { machines, timeMs },
  ).catch(async (error: unknown) => {
    if (rows().length > 0) await write()
    throw error
  })
  await write()
  return { rows: rows(), reportFailures }
}
