import { UserError } from '../../errors.ts'
import type { Fleet } from '../../app/fleet.ts'
import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import type { PowerVerb } from '../../operations/machine/switch-power.ts'
import { writeRows } from '../../ui/table.ts'
import { type Command, type Targets, defineCommand, machinesArgument } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** The machines to switch. For names that are unknown it says how a container is switched. */
async function machinesToSwitch(
  fleet: Fleet,
  verb: PowerVerb,
  targets: Targets,
): Promise<Machine[]> {
  const { namedMachines } = await import('../../operations/inventory/choose-machines.ts')
  try {
    return await namedMachines(fleet, targets)
  } catch (error) {
    if (!(error instanceof UserError) || error.kind !== 'unknown-machine') throw error
    const [name = 'NAME'] = targets.names
    throw new UserError(error.kind, error.message, {
      hint: `${error.hint}; a container: fleet container ${verb} ${shellQuote(name)}`,
      cause: error,
    })
  }
}

const powerCommand = (verb: PowerVerb, summary: string, description: string): Command =>
  defineCommand({
    name: verb,
    summary,
    description,
    arguments: { names: machinesArgument('the machines', 'required') },
    targets: 'many',
    answers: 'names',
    examples: [`fleet ${verb} web-1 web-2`, `fleet ${verb} --on role=web`],
    async run({ fleet, io, targets, format }) {
      const { switchForGood } = await import('../../operations/machine/switch-power.ts')
      const machines = await machinesToSwitch(fleet, verb, targets)
      const outcomes = await workOnMachines(
        { fleet, io, format },
        machines,
        (machine, calls) => switchForGood({ ...fleet, signal: calls.signal }, machine, verb, calls),
        { concurrency: targets.parallel },
      )
      const { values, code } = summarize({ io, format }, outcomes)
      await writeRows<ReadyMachine>(io, format, {
        rows: values,
        columns: [
          { title: 'MACHINE', text: ({ name }) => name },
          { title: 'ADDRESS', text: ({ host }) => host.address ?? '' },
        ],
        name: ({ name }) => name,
      })
      return code
    },
  })

/** Switching the hosts of machines, whatever they did before. */
export const powerCommands: readonly Command[] = [
  powerCommand(
    'start',
    'Start machines',
    'Start machines, and wait until they let fleet in. An address that is another one then is remembered.',
  ),
  powerCommand(
    'stop',
    'Shut machines down',
    'Let machines shut down, and wait until they have. Their entries say stopped: true from then on, so that fleet apply leaves them off; fleet start takes that away.',
  ),
  powerCommand(
    'restart',
    'Restart machines',
    'Restart machines, and wait until they let fleet in again.',
  ),
  powerCommand(
    'kill',
    'Switch machines off at once',
    'Switch machines off at once, without letting them shut down.',
  ),
]
