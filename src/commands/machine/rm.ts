import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { writeJson } from '../../ui/table.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { type Invocation, defineCommand, flag, machinesArgument } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'

const names = { names: machinesArgument('the machines', 'required') }

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

/** What went with a machine, and what is left. */
function whatWent(machine: Machine, forget: boolean): string {
  const { name, driver, host } = machine
  const where = [driver, host?.id, host?.address].filter((word) => word !== undefined).join(', ')
  if (host === undefined) return `${name} is removed: its entry; no host was created`
  if (!isMade(machine)) {
    return `${name} is removed: its entry; the host (${where}) is unchanged, with its containers and the keys that may log in`
  }
  return forget
    ? `${name} is forgotten: its entry is removed; the host (${where}) still exists: fleet gc finds it`
    : `${name} is removed: the host (${where}), all that fleet created for it, and its entry; nothing is left`
}

/** How machines are to go. */
interface Removal {
  /** Leaves the hosts alone. */
  readonly forget: boolean
  readonly yes: boolean
}

type Surroundings = Pick<Invocation, 'fleet' | 'io' | 'format' | 'targets'>

/** The machines that are to go. Those that a selector chose and that are not created yet are left out, since they have nothing to remove. */
async function chooseLeaving({ fleet, io, format, targets }: Surroundings): Promise<Machine[]> {
  const { choosesMany, namedMachines } =
    await import('../../operations/inventory/choose-machines.ts')
  const chosen = await namedMachines(fleet, targets)
  if (!choosesMany(targets)) return chosen
  const { entries } = await (await fleet.inventory()).read()
  const created = chosen.filter(({ name }) => entries.has(name))
  const others = chosen.filter(({ name }) => !entries.has(name)).map(({ name }) => name)
  if (created.length === 0) return chosen // what is wrong with them is said by the check
  if (others.length > 0 && !format.json) {
    io.stderr.write(`skipped, since they are not created yet: ${foldNames(others)}\n`)
  }
  return created
}

/** Shows what goes, always where a selector chose it, and makes sure that the person wants it. */
async function confirmRemoval(
  { io, format, targets }: Surroundings,
  machines: readonly Machine[],
  { forget, yes }: Removal,
): Promise<void> {
  const isSelected = targets.on.length > 0
  if (yes && !isSelected) return
  const lines = machines.map((machine) => whatGoes(machine, forget))
  if (format.json) {
    const changes = machines.map(({ name }, index) => ({
      ...{ event: 'plan', machine: name },
      changes: [`remove ${lines[index]?.slice(`${name}: `.length)}`],
    }))
    io.stderr.write(changes.map((change) => `${JSON.stringify(change)}\n`).join(''))
  }
  const preface = format.json ? '' : `This goes:\n${lines.map((line) => `  ${line}\n`).join('')}`
  const what = machines.length === 1 ? 'this' : `all ${machines.length}`
  await requireConsent(io, yes, isSelected ? `Remove ${what}?` : 'Remove all of this?', preface)
}

/** How many machines are removed at once: providers are asked about those together, and most of it is waiting. */
const removedAtOnce = 64

/** Takes machines away, once the person has seen what goes, and says which are gone. */
async function takeAway(surroundings: Surroundings, removal: Removal): Promise<number> {
  const { fleet, io, format, targets } = surroundings
  const { forget } = removal
  const { checkForgettable, checkRemovable, describeWishes, forgetMachine, removeMachine } =
    await import('../../operations/machine/remove-machine.ts')
  const machines = await chooseLeaving(surroundings)
  await confirmRemoval(surroundings, machines, removal)
  const check = forget ? checkForgettable : checkRemovable
  await check(fleet, machines, (machine) => askNameOf(io, machine))
  const leaving = new Set(machines.map(({ name }) => name))
  const { openMeeting } = await import('../../operations/fan-out/barrier.ts')
  const meet = openMeeting(machines.filter(isMade).length)
  const outcomes = await workOnMachines(
    { fleet, io, format },
    machines,
    async (machine, calls) => {
      if (forget) await forgetMachine(fleet, machine, leaving)
      else
        await removeMachine({ ...fleet, signal: calls.signal }, machine, {
          ...calls,
          leaving,
          meet,
        })
      return { name: machine.name, hostRemoved: isMade(machine) && !forget, machine }
    },
    { concurrency: targets.parallel ?? removedAtOnce },
  )
  const { values, code } = summarize({ io, format }, outcomes)
  if (format.json) {
    writeJson(
      io,
      values.map(({ name, hostRemoved }) => ({ name, hostRemoved })),
    )
  } else {
    const inventory = await (await fleet.inventory()).read()
    const gone = values.map(({ name }) => name)
    for (const { machine } of values) io.stderr.write(`${whatWent(machine, forget)}\n`)
    for (const wish of describeWishes(inventory, gone)) io.stderr.write(`  ${wish}\n`)
  }
  return code
}

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove machines',
  description:
    'Remove machines. A host that fleet made goes with all that was made for it; what cannot be removed is named, and its entry stays. Of other hosts only the entry goes. With --on it always shows the machines chosen.',
  arguments: names,
  options: {
    yes: yesOption,
    forget: flag('--forget', 'leave the hosts alone: only the entries go'),
  },
  targets: 'many',
  answers: 'json',
  examples: ['fleet rm web-1', 'fleet rm -y web-1 web-2', 'fleet rm --on role=web'],
  run: ({ options, ...surroundings }) => takeAway(surroundings, options),
})

export const forget = defineCommand({
  name: 'forget',
  summary: 'Take machines out of the inventory and leave their hosts alone',
  description:
    'Take machines out of the inventory and leave their hosts alone. With --on it shows the machines chosen and asks.',
  arguments: names,
  options: { yes: yesOption },
  targets: 'many',
  answers: 'json',
  examples: ['fleet forget web-1', 'fleet forget --on role=web'],
  run: ({ options, ...surroundings }) =>
    takeAway(surroundings, {
      forget: true,
      yes: options.yes || surroundings.targets.on.length === 0,
    }),
})
