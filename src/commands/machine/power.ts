import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import type { Context } from '../../operations/context.ts'
import type { PowerVerb } from '../../operations/machine/switch-power.ts'
import { writeRows } from '../../ui/table.ts'
import { type Command, type Invocation, defineCommand, machinesArgument } from '../command.ts'
import { type WorkCalls, summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { chooseNamed } from '../multi/choose-named.ts'
import { drainOptions, openMembers } from '../swarm/open-members.ts'

/** Changes the power state of one machine. */
type Switch = (machine: Machine, context: Context, calls: WorkCalls) => Promise<ReadyMachine>

/** Changes the power state of several machines, and prints those that were changed. */
async function switchAll(
  { fleet, io, targets, format }: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  machines: readonly Machine[],
  work: Switch,
): Promise<number> {
  const outcomes = await workOnMachines(
    { fleet, io, format },
    machines,
    (machine, calls) => work(machine, fleet.with({ signal: calls.signal }), calls),
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
}

/** The common properties of the power commands. */
const powerCommand = (verb: PowerVerb) =>
  ({
    name: verb,
    arguments: { names: machinesArgument('machine names', 'required') },
    targets: 'many',
    answers: 'names',
    examples: [`fleet ${verb} web-1 web-2`, `fleet ${verb} --on role=web`],
  }) as const

const start = defineCommand({
  ...powerCommand('start'),
  summary: 'Start machines',
  description:
    "Start machines and wait until they accept SSH connections. If a machine's address has changed, its inventory entry is updated. A swarm node that fleet drained when it stopped the machine becomes active again.",
  async run(invocation) {
    const { switchAndRecordPower } = await import('../../operations/machine/switch-power.ts')
    const machines = await chooseNamed(invocation, 'start')
    const { swarms } = await (await invocation.fleet.inventory()).read()
    return switchAll(invocation, machines, async (machine, context, calls) => {
      const started = await switchAndRecordPower(context, machine, 'start', calls)
      if (swarms.size === 0) return started
      const { activateMember } = await import('../../operations/swarm/interrupt-members.ts')
      await activateMember(context, started, calls)
      return started
    })
  },
})

/** Defines a command that shuts down or restarts hosts. The hosts may be nodes of swarms. */
const interruptingCommand = (
  verb: Exclude<PowerVerb, 'start'>,
  summary: string,
  description: string,
): Command =>
  defineCommand({
    ...powerCommand(verb),
    ...{ summary, description },
    options: drainOptions,
    async run({ options, ...invocation }) {
      const { canSwitch, switchAndRecordPower } =
        await import('../../operations/machine/switch-power.ts')
      const machines = await chooseNamed(invocation, verb)
      const able = await Promise.all(
        machines.map((machine) => canSwitch(invocation.fleet, machine)),
      )
      const interruption = verb === 'restart' ? 'restart' : 'fail'
      const interrupted = machines
        .filter((_, index) => able[index])
        .map((machine) => ({ machine, interruption }) as const)
      await using members = await openMembers(invocation, interrupted, options)
      return await switchAll(invocation, machines, (machine, context, calls) => {
        const work = () => switchAndRecordPower(context, machine, verb, calls)
        if (members === undefined) return work()
        return members[verb === 'restart' ? 'restart' : 'stop'](machine, calls, work)
      })
    },
  })

const drains =
  "Swarm nodes are drained first; fleet refuses to interrupt a majority of a swarm's managers."

/** The commands that start, stop and restart the hosts of machines. */
export const powerCommands: readonly Command[] = [
  start,
  interruptingCommand(
    'stop',
    'Shut down machines',
    `Shut down machines and wait until they are off. fleet adds stopped: true to their entries, so that fleet apply does not start them again; fleet start removes this setting. ${drains}`,
  ),
  interruptingCommand(
    'restart',
    'Restart machines',
    `Restart machines and wait until they accept SSH connections again. ${drains} Managers restart one at a time.`,
  ),
  interruptingCommand(
    'kill',
    'Power off machines without a clean shutdown',
    `Power off machines immediately, without shutting down their operating systems. Data that has not yet been written to disk is lost. ${drains}`,
  ),
]
