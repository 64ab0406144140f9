import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, several } from '../definition.ts'
import { requireConsent, yesOption } from './confirmation.ts'
import { sumUp, workOnMachines } from './work-on-machines.ts'

const names = { names: several('names', 'the machines', 'machine') }

/** Asks for the name of a protected machine, which `--yes` does not stand for. */
function askNameOf(io: Io, { name }: Machine): Promise<string> {
  if (!canPrompt(io)) {
    throw new UserError('usage', 'it is protected: its name must be typed on a terminal', {
      machine: name,
      hint: 'or take "protected: true" out of its entry',
    })
  }
  return askText(io, `${name} is protected. Type its name to remove it:`)
}

/** Whether fleet made the host, so that removing the machine removes it too. */
const isMade = ({ host }: Machine): boolean => host?.token !== undefined

/** What goes with a machine, in words. */
function whatGoes(machine: Machine, forget: boolean): string {
  const { name, driver, host } = machine
  if (!isMade(machine)) return `${name}: its entry; nothing changes on the host`
  const where = [driver, host?.id, host?.address].filter((word) => word !== undefined).join(', ')
  return forget
    ? `${name}: its entry; the host stays (${where}), and fleet gc finds it`
    : `${name}: the host (${where}), and all that fleet made for it`
}

/** How machines are to go. */
interface Removal {
  readonly names: readonly string[]
  /** Leaves the hosts alone. */
  readonly forget: boolean
  readonly yes: boolean
  readonly parallel: number | undefined
}

/** Takes machines away, once the person has seen what goes, and says which are gone. */
async function takeAway(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  { names, forget, yes, parallel }: Removal,
): Promise<number> {
  const { namedMachines } = await import('../../operations/choose-machines.ts')
  const { checkForgettable, checkRemovable, describeWishes, forgetMachine, removeMachine } =
    await import('../../operations/remove-machine.ts')
  const machines = await namedMachines(fleet, names, { machine: undefined, on: [] })
  const preface = machines.map((machine) => `  ${whatGoes(machine, forget)}\n`).join('')
  if (!yes) await requireConsent(io, yes, 'Remove all of this?', `This goes:\n${preface}`)
  const check = forget ? checkForgettable : checkRemovable
  await check(fleet, machines, (machine) => askNameOf(io, machine))
  const leaving = new Set(machines.map(({ name }) => name))
  const outcomes = await workOnMachines(
    { fleet, io, format },
    machines,
    async (machine, calls) => {
      if (forget) await forgetMachine(fleet, machine, leaving)
      else await removeMachine({ ...fleet, signal: calls.signal }, machine, { ...calls, leaving })
      return { name: machine.name, hostRemoved: isMade(machine) && !forget }
    },
    { concurrency: parallel },
  )
  const { values, code } = sumUp({ io, format }, outcomes)
  if (format.json) writeJson(io, values)
  else {
    const inventory = await (await fleet.inventory()).read()
    const gone = values.map(({ name }) => name)
    for (const name of gone) io.stderr.write(`${name} is no longer in the inventory\n`)
    for (const wish of describeWishes(inventory, gone)) io.stderr.write(`  ${wish}\n`)
  }
  return code
}

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove machines',
  description:
    'Remove machines. A host that fleet made goes with all that was made for it; what cannot be removed is named, and its entry stays. Of other hosts only the entry goes.',
  arguments: names,
  options: {
    yes: yesOption,
    forget: flag('--forget', 'leave the hosts alone: only the entries go'),
  },
  worksOnSeveral: true,
  answers: 'json',
  examples: ['fleet rm web-1', 'fleet rm -y web-1 web-2'],
  run: ({ args, options, targets: { parallel }, ...surroundings }) =>
    takeAway(surroundings, { names: args.names, ...options, parallel }),
})

export const forget = defineCommand({
  name: 'forget',
  summary: 'Take machines out of the inventory and leave their hosts alone',
  description:
    'Take machines out of the inventory and leave their hosts alone. Short for rm --forget --yes.',
  arguments: names,
  worksOnSeveral: true,
  answers: 'json',
  run: ({ args, targets: { parallel }, ...surroundings }) =>
    takeAway(surroundings, { names: args.names, forget: true, yes: true, parallel }),
})
