import { UserError } from '../../errors.ts'
import type { Fleet } from '../../fleet.ts'
import type { Machine } from '../../machine/machine.ts'
import type { forgetMachines } from '../../operations/remove-machine.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { type Invocation, defineCommand, several } from '../definition.ts'
import { requireConsent, yesOption } from './confirmation.ts'

const names = { names: several('names', 'the machines', 'machine') }

/** Asks for the name of a protected machine, which `--yes` does not stand for. */
function askNameOf(io: Io, { name }: Machine): Promise<string> {
  if (!canPrompt(io)) {
    throw new UserError('usage', `${name} is protected: its name must be typed on a terminal`, {
      machine: name,
      hint: 'or take "protected: true" out of its entry',
    })
  }
  return askText(io, `${name} is protected. Type its name to remove it:`)
}

type Surroundings = Pick<Invocation, 'fleet' | 'io'>

async function machinesCalled(fleet: Fleet, names: readonly string[]): Promise<Machine[]> {
  const { namedMachines } = await import('../../operations/choose-machines.ts')
  return namedMachines(fleet, names, { machine: undefined, on: [] })
}

/** Has `work` take machines away, asking for the names of protected ones, and says which are gone. */
async function take(
  work: typeof forgetMachines,
  { fleet, io }: Surroundings,
  machines: readonly Machine[],
): Promise<void> {
  await work(fleet, machines, (machine) => askNameOf(io, machine))
  for (const { name } of machines) io.stderr.write(`${name} is no longer in the inventory\n`)
}

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove machines',
  description:
    'Remove machines. Hosts that fleet did not make stay as they are: only the entries go.',
  arguments: names,
  options: { yes: yesOption },
  async run({ fleet, io, args, options }) {
    const { removeMachines } = await import('../../operations/remove-machine.ts')
    const machines = await machinesCalled(fleet, args.names)
    const list = machines.map(({ name }) => name).join(', ')
    const question = `Take ${list} out of the inventory? Nothing changes on the hosts.`
    await requireConsent(io, options.yes, question)
    await take(removeMachines, { fleet, io }, machines)
  },
})

export const forget = defineCommand({
  name: 'forget',
  summary: 'Take machines out of the inventory and leave their hosts alone',
  arguments: names,
  async run({ fleet, io, args }) {
    const { forgetMachines } = await import('../../operations/remove-machine.ts')
    await take(forgetMachines, { fleet, io }, await machinesCalled(fleet, args.names))
  },
})
