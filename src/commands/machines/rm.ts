import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
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

async function remove(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  typed: readonly string[],
  yes: boolean,
): Promise<void> {
  const { namedMachines } = await import('../../operations/choose-machines.ts')
  const { removeMachines } = await import('../../operations/remove-machine.ts')
  const machines = await namedMachines(fleet, typed, { machine: undefined, on: [] })
  const list = machines.map(({ name }) => name).join(', ')
  await requireConsent(io, yes, `Take ${list} out of the inventory? Nothing changes on the hosts.`)
  await removeMachines(fleet, machines, (machine) => askNameOf(io, machine))
  for (const { name } of machines) io.stderr.write(`${name} is no longer in the inventory\n`)
}

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove machines',
  description:
    'Remove machines. Hosts that fleet did not make stay as they are: only the entries go.',
  arguments: names,
  options: { yes: yesOption },
  run: (invocation) => remove(invocation, invocation.args.names, invocation.options.yes),
})

export const forget = defineCommand({
  name: 'forget',
  summary: 'Take machines out of the inventory and leave their hosts alone',
  arguments: names,
  run: (invocation) => remove(invocation, invocation.args.names, true),
})
