import type { Engine } from '../../engine/engine.ts'
import { exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { writeResults } from '../../ui/failure.ts'
import { foldRows, streamRows } from '../../ui/row-stream.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { tellWaiting } from '../../ui/progress/waiting.ts'
import type { Invocation } from '../command.ts'
import { chooseEngines } from './choose-engines.ts'

type Asking = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>
type Ask<Value> = (engine: Engine, signal: AbortSignal, machine: string) => Promise<Value>

/** What the engines of the chosen machines answered. */
interface Answers<Value> {
  readonly answers: readonly { readonly machine: string; readonly value: Value }[]
  /** Whether the person chose by selector, so that rows tell their machine. */
  readonly many: boolean
  /** Tells of what failed, and gives the exit code: 1 when some machines did, 130 when it was stopped. */
  readonly tellFailures: () => number
}

/** Takes the answers of several machines as they come; `machines` are all that are asked. */
type Watch<Value> = (machines: readonly string[]) => (machine: string, value: Value) => void

/** How long an engine may take to answer unless the person says so, in milliseconds. */
const usualTimeMs = 30_000

/** How engines are asked. */
interface AskOptions<Value> {
  /** Takes the answers of several machines as they come. */
  readonly watch?: Watch<Value>
  /** How long an answer may take unless the person says so, in milliseconds. */
  readonly timeMs?: number | undefined
}

/**
 * Asks the engine of every chosen machine. One machine's failure is thrown; of several, the
 * failures can be told and the others' answers are kept, in the order of the inventory. Which machines are waited for is told
 * after some seconds.
 */
export async function askEngines<Value>(
  invocation: Asking,
  ask: Ask<Value>,
  { watch, timeMs = usualTimeMs }: AskOptions<Value> = {},
): Promise<Answers<Value>> {
  const { fleet, io, targets, format } = invocation
  const { choosesMany } = await import('../../operations/inventory/choose-machines.ts')
  const machines = await chooseEngines(invocation)
  const names = machines.map(({ name }) => name)
  const timeoutMs = targets.timeoutMs ?? timeMs
  using waiting = tellWaiting(io, format, names, fleet.clock)
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
    return { answers, many: false, tellFailures: () => exitCodes.ok }
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
    tellFailures: () => writeResults(io, gathered, format),
  }
}

/** Lists what the engines of the chosen machines have, with a MACHINE column when there are several. */
export async function listFromEngines<Item extends object>(
  invocation: Asking,
  {
    list,
    timeMs,
    ...options
  }: {
    list: Ask<readonly Item[]>
    columns: readonly Column<Item>[]
    /** How long an answer may take unless the person says so, in milliseconds. */
    timeMs?: number
    /** What `--quiet` prints of an item; `machine` is absent where only one was meant. */
    name?: (item: Item & { readonly machine?: string | undefined }) => string
  },
): Promise<number> {
  const { io, format } = invocation
  type Row = Item & { readonly machine: string }
  const machineColumn: Column<Row> = { title: 'MACHINE', text: (row) => row.machine }
  const columns = [machineColumn, ...options.columns]
  const opened: { rows?: ReturnType<typeof foldRows<Item>> } = {}
  const watch = (machines: readonly string[]) => {
    const rows = format.fold
      ? foldRows(io, format, { ...options, machines })
      : streamRows<Item>(io, format, { ...options, columns, machines })
    opened.rows = rows
    return (machine: string, items: readonly Item[]) => rows.add(machine, items)
  }
  const { answers, many, tellFailures } = await askEngines(invocation, list, { watch, timeMs })
  await opened.rows?.finish()
  if (!many) {
    const { name } = options
    const rows = answers.flatMap(({ machine, value }) =>
      value.map((item) => Object.assign({ machine }, item)),
    )
    await writeRows<Row>(io, format, {
      ...options,
      rows,
      ...(name && { name: (row) => name({ ...row, machine: undefined }) }),
    })
  }
  return tellFailures()
}
