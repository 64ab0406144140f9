import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { writeJson } from '../../ui/table.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { type Invocation, defineCommand, machinesArgument } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import { chooseNamed } from '../multi/choose-named.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { drainOptions, openMembers } from '../swarm/open-members.ts'

const names = { names: machinesArgument('machine names', 'required') }

/** Asks the user to type the name of a protected machine. `--yes` does not replace this confirmation. */
function askForName(io: Io, { name }: Machine): Promise<string> {
  if (!canPrompt(io)) {
    throw new UserError(
      'usage',
      'the machine is protected: removing it requires confirmation in a terminal',
      {
        machine: name,
        hint: `to remove the protection: fleet set ${name} protected=false`,
      },
    )
  }
  return askText(io, `${name} is protected. Type its name to remove it:`)
}

/** Whether fleet created the host. If so, the host is removed together with the machine. */
const isCreated = ({ host }: Machine): boolean => host?.token !== undefined

/** Describes what will be removed together with a machine. `swarm`: the swarm that it will leave. */
function describeRemoval(machine: Machine, forget: boolean, swarm?: string): string {
  const { name, driver, host } = machine
  if (!isCreated(machine)) {
    const change = swarm === undefined ? 'is not affected' : `will leave swarm ${swarm}`
    return `${name}: its entry; the host ${change}`
  }
  const where = [driver, host?.id, host?.address].filter((word) => word !== undefined).join(', ')
  return forget
    ? `${name}: its entry; the host (${where}) will remain, and fleet gc will list it`
    : `${name}: its entry and the host (${where}), with everything that fleet created for it`
}

/** Describes what was removed together with a machine, and what is left. `swarm`: the swarm that it has left. */
function describeRemoved(machine: Machine, forget: boolean, swarm?: string): string {
  const { name, driver, host } = machine
  const where = [driver, host?.id, host?.address].filter((word) => word !== undefined).join(', ')
  if (host === undefined) return `${name}: removed its entry; the machine had no host`
  if (!isCreated(machine)) {
    const left = swarm === undefined ? '' : `; the host has left swarm ${swarm}`
    return `${name}: removed its entry${left}; the host (${where}), its containers and its authorized keys are unchanged`
  }
  return forget
    ? `${name}: removed its entry; the host (${where}) still exists, and fleet gc will list it`
    : `${name}: removed the host (${where}), everything that fleet created for it, and its entry`
}

/** Options for the removal of machines. */
interface Removal {
  /** Whether the hosts are kept. */
  readonly forget: boolean
  readonly yes: boolean
  readonly drain: boolean
  readonly drainTimeout?: number | undefined
}

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format' | 'targets'>

/**
 * Resolves to the machines to remove. Machines that were chosen by a selector but have not been created yet are
 * skipped, because there is nothing to remove.
 */
async function chooseRemovals({ fleet, io, format, targets }: CommandContext): Promise<Machine[]> {
  const { choosesMany } = await import('../../operations/inventory/choose-machines.ts')
  const chosen = await chooseNamed({ fleet, targets }, 'rm')
  if (!choosesMany(targets)) return chosen
  const { entries } = await (await fleet.inventory()).read()
  const created = chosen.filter(({ name }) => entries.has(name))
  const others = chosen.filter(({ name }) => !entries.has(name)).map(({ name }) => name)
  if (created.length === 0) return chosen // the check below reports why they cannot be removed
  if (others.length > 0 && !format.json) {
    io.stderr.write(`skipped (not created yet): ${foldNames(others)}\n`)
  }
  return created
}

/** Resolves to the initialized swarms, with the roles of their members. */
async function initializedSwarms(fleet: Invocation['fleet']) {
  const { swarms, machines } = await (await fleet.inventory()).read()
  if (swarms.size === 0) return []
  const { rolesOf } = await import('../../machine/swarms.ts')
  return [...swarms.values()]
    .filter(({ id }) => id !== undefined)
    .map((swarm) => ({ name: swarm.name, roles: rolesOf(swarm, machines.values()) }))
}

/**
 * Shows what will be removed and asks for confirmation. If the machines were chosen by a selector, shows it even with
 * `--yes`.
 */
async function confirmRemoval(
  { fleet, io, format, targets }: CommandContext,
  machines: readonly Machine[],
  { forget, yes, drain }: Removal,
): Promise<void> {
  const isSelected = targets.on.length > 0
  if (yes && !isSelected) return
  const swarms = forget || !drain ? [] : await initializedSwarms(fleet)
  const lines = machines.map((machine) => {
    const swarm = swarms.find(({ roles }) => roles.has(machine.name))?.name
    return describeRemoval(machine, forget, swarm)
  })
  if (format.json) {
    const changes = machines.map(({ name }, index) => ({
      ...{ event: 'plan', machine: name },
      changes: [`remove ${lines[index]?.slice(`${name}: `.length)}`],
    }))
    io.stderr.write(changes.map((change) => `${JSON.stringify(change)}\n`).join(''))
  }
  const introduction = format.json
    ? ''
    : `The following will be removed:\n${lines.map((line) => `  ${line}\n`).join('')}`
  const what = machines.length === 1 ? 'this machine' : `these ${machines.length} machines`
  await requireConsent(io, yes, `Remove ${what}?`, introduction)
}

/**
 * The number of machines that are removed at the same time. It is high because requests to providers are combined, and
 * most of the time is spent waiting.
 */
const removalConcurrency = 64

/** Removes machines after the user has confirmed, and reports the result. */
async function removeAll(context: CommandContext, removal: Removal): Promise<number> {
  const { fleet, io, format, targets } = context
  const { forget } = removal
  const { checkCanForget, checkRemovable, describeRecreation, forgetMachine, removeMachine } =
    await import('../../operations/machine/remove-machine.ts')
  const machines = await chooseRemovals(context)
  await confirmRemoval(context, machines, removal)
  const check = forget ? checkCanForget : checkRemovable
  await check(fleet, machines, (machine) => askForName(io, machine))
  const leaving = new Set(machines.map(({ name }) => name))
  await using members = await openMembers(
    context,
    machines.map((machine) => ({ machine, interruption: 'leave' as const })),
    { drainTimeout: undefined, ...removal, drain: removal.drain && !forget },
  )
  const { createBarrier } = await import('../../operations/fan-out/barrier.ts')
  const meet = createBarrier(machines.filter(isCreated).length)
  const outcomes = await workOnMachines(
    { fleet, io, format },
    machines,
    async (machine, calls) => {
      if (forget) await forgetMachine(fleet, machine, leaving)
      else {
        await members?.leave(machine, calls)
        await removeMachine(fleet.with({ signal: calls.signal }), machine, {
          ...calls,
          leaving,
          meet,
        })
      }
      return { name: machine.name, hostRemoved: isCreated(machine) && !forget, machine }
    },
    { concurrency: targets.parallel ?? removalConcurrency },
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
    for (const { machine } of values) {
      const [swarm] = members?.swarmsOf(machine.name) ?? []
      io.stderr.write(`${describeRemoved(machine, forget, swarm)}\n`)
    }
    for (const line of describeRecreation(inventory, gone)) io.stderr.write(`  ${line}\n`)
  }
  return code
}

export const rm = defineCommand({
  name: 'rm',
  summary: 'Remove machines',
  description:
    "Remove machines from the inventory. If fleet created a machine's host, the host is removed too, with all its data and everything that fleet created for it. If something cannot be removed, it is listed, and the entry is kept. Adopted hosts are not affected, except that swarm nodes are drained and leave their swarm; fleet refuses to remove a majority of a swarm's managers. To keep a host and remove only its entry, use fleet forget. With --on, the chosen machines are always shown first.",
  arguments: names,
  options: { yes: yesOption, ...drainOptions },
  targets: 'many',
  answers: 'json',
  examples: ['fleet rm web-1', 'fleet rm -y web-1 web-2', 'fleet rm --on role=web'],
  run: ({ options, ...context }) => removeAll(context, { ...options, forget: false }),
})

export const forget = defineCommand({
  name: 'forget',
  summary: 'Remove machines from the inventory but keep their hosts',
  description:
    'Remove machine entries from the inventory. The hosts are not affected. With --on, fleet lists the chosen machines and asks for confirmation.',
  arguments: names,
  options: { yes: yesOption },
  targets: 'many',
  answers: 'json',
  examples: ['fleet forget web-1', 'fleet forget --on role=web'],
  run: ({ options, ...context }) =>
    removeAll(context, {
      ...{ forget: true, drain: false },
      yes: options.yes || context.targets.on.length === 0,
    }),
})
