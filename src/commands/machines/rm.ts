import { UserError } from '../../errors.ts'
import type { Fleet } from '../../fleet.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Io } from '../../ui/io.ts'
import { withProgress } from '../../ui/progress.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { defineCommand, several } from '../definition.ts'
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

async function machinesCalled(fleet: Fleet, names: readonly string[]): Promise<Machine[]> {
  const { namedMachines } = await import('../../operations/choose-machines.ts')
  return namedMachines(fleet, names, { machine: undefined, on: [] })
}

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove machines',
  description:
    'Remove machines. Hosts that fleet did not make stay as they are: only the entries go.',
  arguments: names,
  options: { yes: yesOption },
  async run({ fleet, io, args, options, format }) {
    const { checkRemovable, removeMachine } = await import('../../operations/remove-machine.ts')
    const machines = await machinesCalled(fleet, args.names)
    const list = machines.map(({ name }) => name).join(', ')
    await requireConsent(io, options.yes, `Remove ${list}?`)
    await checkRemovable(fleet, machines, (machine) => askNameOf(io, machine))
    const leaving = new Set(machines.map(({ name }) => name))
    for (const machine of machines) {
      await withProgress(io, format, machine.name, (progress) =>
        removeMachine(fleet, machine, { progress, signal: io.signal, leaving }),
      )
      io.stderr.write(`${machine.name} is no longer in the inventory\n`)
    }
  },
})

export const forget = defineCommand({
  name: 'forget',
  summary: 'Take machines out of the inventory and leave their hosts alone',
  arguments: names,
  async run({ fleet, io, args }) {
    const { checkForgettable, forgetMachine } = await import('../../operations/remove-machine.ts')
    const machines = await machinesCalled(fleet, args.names)
    await checkForgettable(fleet, machines, (machine) => askNameOf(io, machine))
    const leaving = new Set(machines.map(({ name }) => name))
    for (const machine of machines) {
      await forgetMachine(fleet, machine, leaving)
      io.stderr.write(`${machine.name} is no longer in the inventory\n`)
    }
  },
})
