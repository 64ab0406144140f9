import type { ReadyMachine } from '../../machine/machine.ts'
import type { PowerVerb } from '../../operations/machine/switch-power.ts'
import { writeRows } from '../../ui/table.ts'
import { type Command, defineCommand, machinesArgument } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { chooseNamed } from '../multi/choose-named.ts'

const powerCommand = (verb: PowerVerb, summary: string, description: string): Command =>
  defineCommand({
    name: verb,
    summary,
    description,
    arguments: { names: machinesArgument('names of machines', 'required') },
    targets: 'many',
    answers: 'names',
    examples: [`fleet ${verb} web-1 web-2`, `fleet ${verb} --on role=web`],
    async run({ fleet, io, targets, format }) {
      const { switchAndRecordPower } = await import('../../operations/machine/switch-power.ts')
      const machines = await chooseNamed({ fleet, targets }, verb)
      const outcomes = await workOnMachines(
        { fleet, io, format },
        machines,
        (machine, calls) =>
          switchAndRecordPower(fleet.with({ signal: calls.signal }), machine, verb, calls),
        { concurrency: targets.parallel },
      )
      const { values, code } = summarize({ io, format }, outcomes)
      await writeRows<ReadyMachine>(io, format, {
        rows: values,
        columns: [
          { title: 'MACHINE', text: ({ name }) => name, keep: true },
          { title: 'ADDRESS', text: ({ host }) => host.address ?? '' },
        ],
        name: ({ name }) => name,
      })
      return code
    },
  })

/** Starting, stopping and restarting the hosts of machines. */
export const powerCommands: readonly Command[] = [
  powerCommand(
    'start',
    'Start machines',
    'Start machines, and wait until they accept SSH connections. If the address of a machine has changed, its entry is updated.',
  ),
  powerCommand(
    'stop',
    'Shut down machines',
    'Shut down machines, and wait until they are off. fleet adds stopped: true to their entries, so that fleet apply does not start them again; fleet start removes it.',
  ),
  powerCommand(
    'restart',
    'Restart machines',
    'Restart machines, and wait until they accept SSH connections again.',
  ),
  powerCommand(
    'kill',
    'Power off machines without shutting them down',
    'Power off machines immediately, without shutting down their operating systems. Data that is not written to the disk yet is lost.',
  ),
]
