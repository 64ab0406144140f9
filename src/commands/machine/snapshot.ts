import { exitCodes } from '../../errors.ts'
import type { Fleet } from '../../app/fleet.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Progress } from '../../os/progress.ts'
import type * as operations from '../../operations/machine/snapshots.ts'
import { writeRows } from '../../ui/table.ts'
import { type Command, type CommandGroup, defineCommand, required } from '../command.ts'
import { workOnMachines } from '../multi/work-on-machines.ts'

type Calls = { readonly progress: Progress; readonly signal: AbortSignal }
type Operations = typeof operations

async function machineCalled(fleet: Fleet, name: string): Promise<Machine> {
  const { findMachine } = await import('../../operations/inventory/choose-machines.ts')
  return findMachine(await (await fleet.inventory()).read(), name)
}

const changing = (
  name: string,
  summary: string,
  operationOf: (operations: Operations) => Operations['saveSnapshot'],
): Command =>
  defineCommand({
    name,
    summary,
    arguments: {
      name: required('name', 'name of the machine', 'machine'),
      snapshot: required('snapshot', 'name of the snapshot'),
    },
    examples: [`fleet snapshot ${name} dev before-upgrade`],
    async run({ fleet, io, args, format }) {
      const operation = operationOf(await import('../../operations/machine/snapshots.ts'))
      const machine = await machineCalled(fleet, args.name)
      await workOnMachines({ fleet, io, format }, [machine], (one, calls: Calls) =>
        operation(fleet.with({ signal: calls.signal }), one, args.snapshot, calls),
      )
      return exitCodes.ok
    },
  })

const list = defineCommand({
  name: 'ls',
  summary: "List a machine's snapshots",
  arguments: { name: required('name', 'name of the machine', 'machine') },
  answers: 'names',
  examples: ['fleet snapshot ls dev'],
  async run({ fleet, io, args, format }) {
    const { listSnapshots } = await import('../../operations/machine/snapshots.ts')
    const machine = await machineCalled(fleet, args.name)
    const rows = await listSnapshots(fleet, machine, { signal: fleet.signal, progress: () => {} })
    await writeRows(io, format, {
      rows,
      columns: [
        { title: 'SNAPSHOT', text: ({ name }) => name, keep: true },
        { title: 'CREATED', text: ({ created }) => created },
        { title: 'HOLDS', text: ({ isRunning }) => (isRunning ? 'disk and memory' : 'disk') },
      ],
      name: ({ name }) => name,
    })
  },
})

/** The commands of `fleet snapshot`. */
export const snapshot: CommandGroup = {
  name: 'snapshot',
  summary: 'Take and restore machine snapshots',
  commands: [
    changing('save', 'Take a snapshot of a machine', ({ saveSnapshot }) => saveSnapshot),
    changing(
      'restore',
      'Restore a snapshot and discard all later changes',
      ({ restoreSnapshot }) => restoreSnapshot,
    ),
    list,
    changing('rm', 'Remove a snapshot', ({ removeSnapshot }) => removeSnapshot),
  ],
}
