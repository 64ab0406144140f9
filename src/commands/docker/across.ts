import type { Engine } from '../../engine/engine.ts'
import { exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { writeGathered } from '../../ui/failure.ts'
import { foldRows, streamRows } from '../../ui/row-stream.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import type { Invocation } from '../definition.ts'

type Asking = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>
type Ask<Value> = (engine: Engine, signal: AbortSignal) => Promise<Value>

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

/** What one engine answers. Its failure is thrown. */
async function askOne<Value>(
  { fleet, targets }: Asking,
  machine: Machine,
  work: (machine: Machine, signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const { signal } = fleet
  const { timeoutMs } = targets
  if (timeoutMs === undefined) return work(machine, signal)
  const { fanOutInOrder } = await import('../../operations/fan-out.ts')
  const [outcome] = await fanOutInOrder([machine], work, { signal, timeoutMs })
  if (outcome === undefined || 'error' in outcome) throw outcome?.error
  return outcome.value
}

/**
 * Asks the engine of every chosen machine. One machine's failure is thrown; of several, the
 * failures can be told and the others' answers are kept, in the order of the inventory.
 */
export async function askEngines<Value>(
  invocation: Asking,
  ask: Ask<Value>,
  watch?: Watch<Value>,
): Promise<Answers<Value>> {
  const { fleet, io, targets, format } = invocation
  const { chooseMachine, chooseMachines, choosesMany } =
    await import('../../operations/choose-machines.ts')
  const work = async (machine: Machine, signal: AbortSignal): Promise<Value> =>
    ask(await fleet.engine(machine), signal)
  if (!choosesMany(targets)) {
    const machine = await chooseMachine(fleet, targets.machine)
    const value = await askOne(invocation, machine, work)
    const answers = [{ machine: machine.name, value }]
    return { answers, many: false, tellFailures: () => exitCodes.ok }
  }
  const { gather } = await import('../../operations/gather.ts')
  const machines = await chooseMachines(fleet, targets)
  const take = watch?.(machines.map(({ name }) => name))
  const gathered = await gather(fleet, machines, work, {
    ...targets,
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
    tellFailures: () => writeGathered(io, gathered, format),
  }
}

/** Lists what the engines of the chosen machines have, with a MACHINE column when there are several. */
export async function listFromEngines<Item extends object>(
  invocation: Asking,
  {
    list,
    ...options
  }: {
    list: (engine: Engine, signal: AbortSignal) => Promise<readonly Item[]>
    columns: readonly Column<Item>[]
    /** What `--quiet` prints of an item. */
    name?: (item: Item) => string
  },
): Promise<number> {
  const { io, format } = invocation
  type Row = Item & { readonly machine: string }
  const machineColumn: Column<Row> = { title: 'MACHINE', text: (row) => row.machine }
  const columns = [machineColumn, ...options.columns]
  const opened: { rows?: ReturnType<typeof foldRows<Item>> } = {}
  const { answers, many, tellFailures } = await askEngines(invocation, list, (machines) => {
    const rows = format.fold
      ? foldRows(io, format, { ...options, machines })
      : streamRows<Item>(io, format, { ...options, columns, machines })
    opened.rows = rows
    return (machine, items) => rows.add(machine, items)
  })
  await opened.rows?.finish()
  if (!many) {
    const rows = answers.flatMap(({ machine, value }) =>
      value.map((item) => Object.assign({ machine }, item)),
    )
    await writeRows(io, format, { ...options, rows })
  }
  return tellFailures()
}
