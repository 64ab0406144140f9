import type { Engine } from '../../engine/engine.ts'
import { exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { writeResults } from '../../ui/failure.ts'
import { foldRows, streamRows } from '../../ui/row-stream.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { reportUnanswered } from '../../ui/progress/waiting.ts'
import type { Invocation } from '../command.ts'
import { chooseEngines } from './choose-engines.ts'

type Asking = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>
type Ask<Value> = (engine: Engine, signal: AbortSignal, machine: string) => Promise<Value>

/** The answers from the engines of the chosen machines. */
interface Answers<Value> {
  readonly answers: readonly { readonly machine: string; readonly value: Value }[]
  /** Whether the machines were chosen by a selector, so that each row must name its machine. */
  readonly many: boolean
  /** Reports the failures, and returns the exit code: 0, or 1 if some machines failed, or 130 if interrupted. */
  readonly reportFailures: () => number
}

/**
 * Called with the names of all machines before they are queried. Returns a function that receives each machine's answer
 * as it arrives.
 */
type Watch<Value> = (machines: readonly string[]) => (machine: string, value: Value) => void

/** The default time limit for each engine, in milliseconds. */
export const defaultTimeoutMs = 30_000

/** Options for querying engines. */
interface AskOptions<Value> {
  /** Receives the answers as they arrive, if several machines are queried. */
  readonly watch?: Watch<Value>
  /** The default time limit for each engine, in milliseconds. */
  readonly timeMs?: number | undefined
  /** The machines to query, if they have already been chosen. */
  readonly machines?: readonly Machine[]
}

/**
 * Queries the engine of every chosen machine. If only one machine is chosen, its failure is thrown. If several are
 * chosen, the caller can report the failures, and the other machines' answers are returned in the order of the
 * inventory. After some seconds, a message names the machines that have not answered yet.
 */
export async function askEngines<Value>(
  invocation: Asking,
  ask: Ask<Value>,
  { watch, timeMs = defaultTimeoutMs, machines: chosen }: AskOptions<Value> = {},
): Promise<Answers<Value>> {
  const { fleet, io, targets, format } = invocation
  const { choosesMany } = await import('../../operations/inventory/choose-machines.ts')
  const machines = chosen ?? (await chooseEngines(invocation))
  const names = machines.map(({ name }) => name)
  const timeoutMs = targets.timeoutMs ?? timeMs
  using waiting = reportUnanswered(io, format, names, fleet.clock)
  const work = async (machine: Machine, signal: AbortSignal): Promise<Value> => {
    try {
      return await ask(await fleet.engine(machine), signal, machine.name)
    } finally {
      waiting.done(machine.name)
    }
  }
  const [only] = machines
  if (!choosesMany(targets) && only !== undefined) {
    const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
    const [outcome] = await fanOutInOrder([only], work, {
      signal: fleet.signal,
      timeLimit: { ms: timeoutMs, clock: fleet.clock },
    })
    if (outcome === undefined) throw fleet.signal.reason
    if ('error' in outcome) throw outcome.error
    const answers = [{ machine: only.name, value: outcome.value }]
    return { answers, many: false, reportFailures: () => exitCodes.ok }
  }
  const { collectOutcomes } = await import('../../operations/fan-out/collect-outcomes.ts')
  const take = watch?.(names)
  const gathered = await collectOutcomes(fleet, machines, work, {
    ...targets,
    timeoutMs,
    concurrency: targets.parallel,
    onOutcome(outcome) {
      if ('value' in outcome) take?.(outcome.machine.name, outcome.value)
    },
  })
  return {
    answers: gathered.outcomes.flatMap((outcome) =>
      'value' in outcome ? [{ machine: outcome.machine.name, value: outcome.value }] : [],
    ),
    many: true,
    reportFailures: () => writeResults(io, gathered, format),
  }
}

/** The column that names the machine in rows from several machines. */
export const machineColumn: Column<{ readonly machine?: string | undefined }> = {
  title: 'MACHINE',
  text: ({ machine = '' }) => machine,
  keep: true,
}

/** Lists items from the engines of the chosen machines, with a MACHINE column if there are several. */
export async function listFromEngines<Item extends object>(
  invocation: Asking,
  {
    list,
    timeMs,
    machines: chosen,
    ...options
  }: {
    list: Ask<readonly Item[]>
    columns: readonly Column<Item>[]
    /** Whether texts are complete instead of being shortened to the width of the terminal. */
    whole?: boolean
    /** Whether the table is redrawn repeatedly. */
    redrawn?: boolean
    /** The default time limit for each engine, in milliseconds. */
    timeMs?: number
    /** The machines to query, if they have already been chosen. */
    machines?: readonly Machine[]
    /** Returns what `--quiet` prints for an item; `machine` is absent if only one machine was chosen. */
    name?: (item: Item & { readonly machine?: string | undefined }) => string
  },
): Promise<number> {
  const { io, format } = invocation
  type Row = Item & { readonly machine: string }
  const opened: { rows?: ReturnType<typeof foldRows<Item>> } = {}
  const columnsFor = (machines: readonly string[]): Column<Row>[] => {
    const width = Math.max(0, ...machines.map((name) => name.length))
    return [{ ...machineColumn, width }, ...options.columns]
  }
  const watch = (machines: readonly string[]) => {
    const rows = format.fold
      ? foldRows(io, format, { ...options, machines })
      : streamRows<Item>(io, format, { ...options, columns: columnsFor(machines), machines })
    opened.rows = rows
    return (machine: string, items: readonly Item[]) => rows.add(machine, items)
  }
  const { answers, many, reportFailures } = await askEngines(invocation, list, {
    ...{ watch, timeMs },
    ...(chosen && { machines: chosen }),
  })
  await opened.rows?.finish()
  if (!many) {
    const { name } = options
    const rows = answers.flatMap(({ machine, value }) =>
      value.map((item) => Object.assign({ machine }, item)),
    )
    await writeRows<Row>(io, format, {
      ...options,
      rows,
      grows: options.redrawn,
      ...(name && { name: (row) => name({ ...row, machine: undefined }) }),
    })
  }
  return reportFailures()
}
