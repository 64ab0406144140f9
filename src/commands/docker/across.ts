import type { Engine } from '../../engine/engine.ts'
import { exitCodes } from '../../errors.ts'
import { writeFailures } from '../../ui/failure.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import type { Invocation } from '../definition.ts'

/** What the engines of the chosen machines answered. */
interface Answers<Value> {
  readonly answers: readonly { readonly machine: string; readonly value: Value }[]
  /** Whether the person chose by selector, so that rows tell their machine. */
  readonly many: boolean
  /** 1 when some machines failed; what failed has been told. */
  readonly code: number
}

/**
 * Asks the engine of every chosen machine. One machine's failure is thrown; of several, the
 * failures are told on stderr and the others' answers kept, in the order of the inventory.
 */
export async function askEngines<Value>(
  { fleet, io, targets, format }: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  ask: (engine: Engine, signal: AbortSignal) => Promise<Value>,
): Promise<Answers<Value>> {
  const { chooseMachine, chooseMachines } = await import('../../operations/choose-machines.ts')
  if (targets.on.length === 0) {
    const machine = await chooseMachine(fleet, targets.machine)
    const value = await ask(await fleet.engine(machine), fleet.signal)
    return { answers: [{ machine: machine.name, value }], many: false, code: exitCodes.ok }
  }
  const { fanOutInOrder } = await import('../../operations/fan-out.ts')
  const machines = await chooseMachines(fleet, targets)
  const outcomes = await fanOutInOrder(
    machines,
    async (machine, signal) => ask(await fleet.engine(machine), signal),
    { signal: fleet.signal, concurrency: targets.parallel },
  )
  const failures = outcomes.filter((outcome) => 'error' in outcome)
  writeFailures(io, failures, { of: machines.length, json: format.json })
  return {
    answers: outcomes
      .filter((outcome) => 'value' in outcome)
      .map(({ machine, value }) => ({ machine: machine.name, value })),
    many: true,
    code: failures.length === 0 ? exitCodes.ok : exitCodes.failed,
  }
}

/** Lists what the engines of the chosen machines have, with a MACHINE column when there are several. */
export async function listFromEngines<Item extends object>(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  {
    list,
    columns,
    name,
  }: {
    list: (engine: Engine, signal: AbortSignal) => Promise<readonly Item[]>
    columns: readonly Column<Item>[]
    /** What `--quiet` prints of an item. */
    name?: (item: Item) => string
  },
): Promise<number> {
  const { answers, many, code } = await askEngines(invocation, list)
  type Row = Item & { readonly machine: string }
  const rows: Row[] = answers.flatMap(({ machine, value }) =>
    value.map((item) => Object.assign({ machine }, item)),
  )
  const machineColumn: Column<Row> = { title: 'MACHINE', text: (row) => row.machine }
  await writeRows(invocation.io, invocation.format, {
    rows,
    columns: many ? [machineColumn, ...columns] : columns,
    ...(name === undefined ? {} : { name }),
  })
  return code
}
