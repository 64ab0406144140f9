import { exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { ProvisionedHost } from '../../operations/provision/provision-host.ts'
import type { Plan } from '../../provision/engine/plan-engine.ts'
import { type Invocation, defineCommand, machinesArgument } from '../command.ts'
import { chooseEngines } from '../multi/choose-engines.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { approvePlan, approvePlans } from '../inventory/approve-plan.ts'
import { yesOption } from '../options/confirmation.ts'
import { summarize } from '../multi/work-on-machines.ts'
import { confirmAndRun } from '../multi/confirm-and-run.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

const asJson = ({ plan, probe, skipped }: ProvisionedHost) => ({
  changed: plan.map(({ description }) => description),
  ...(skipped.length > 0 && { skipped }),
  ...probe,
})

/** Describes the result of provisioning a machine. */
function resultOf(name: string, { plan, probe, skipped }: ProvisionedHost): string {
  if (skipped.length > 0) {
    const settings = skipped.map(({ option, from, to }) => `${option} ${from} -> ${to}`).join(', ')
    return `${name}: skipped ${settings}, which would make images and containers unavailable; to confirm: fleet apply --destroy ${name}`
  }
  if (plan.length === 0) return `${name}: nothing to change`
  if (probe.sudoNeeds !== undefined && probe.engine?.direct === false) {
    return `${name} will be ready after the next login. To log in again, close the open connection: fleet broker stop`
  }
  const engine = probe.engine?.version === undefined ? '' : `: Docker ${probe.engine.version}`
  return `${name} is ready${engine}`
}

/** Installs or repairs Docker on several machines, after asking once for confirmation of all changes. */
async function provisionAll(
  context: CommandContext,
  machines: readonly Machine[],
  { yes, concurrency }: { readonly yes: boolean; readonly concurrency: number | undefined },
): Promise<number> {
  const { fleet, io, format } = context
  const { provisionMachine } = await import('../../operations/provision/provision-machine.ts')
  const outcomes = await confirmAndRun<ProvisionedHost, Plan>(context, machines, {
    work: (machine, { progress, signal }, approve) =>
      provisionMachine(fleet.with({ signal }), machine, { progress, approve }),
    ask: (proposals) => approvePlans(io, proposals, format),
    preapproved: yes
      ? ({ name }, plan) => approvePlan(io, { name, plan, yes, json: format.json })
      : undefined,
    concurrency,
  })
  const { code } = summarize({ io, format }, outcomes)
  const done = outcomes.filter((outcome) => 'value' in outcome)
  if (format.json) {
    writeJson(
      io,
      done.map(({ machine: { name }, value }) => ({ name, ...asJson(value) })),
    )
  } else {
    for (const { machine, value } of done) io.stderr.write(`${resultOf(machine.name, value)}\n`)
  }
  return code
}

export const provision = defineCommand({
  name: 'provision',
  summary: 'Install or repair Docker on machines',
  description:
    'Install or repair Docker on one or more machines over SSH. fleet shows the changes and asks for confirmation, or does nothing if Docker is already set up. The engine settings in machines.yaml are applied; changes that make images and containers unavailable require fleet apply.',
  arguments: { names: machinesArgument('machine names (default: the active machine)', 'optional') },
  options: { yes: yesOption },
  targets: 'many',
  answers: 'json',
  examples: [
    'fleet provision web-1',
    'fleet provision web-1 web-2',
    'fleet provision --on role=web',
  ],
  async run({ fleet, io, options, targets, format }) {
    const { choosesMany, namedMachines } =
      await import('../../operations/inventory/choose-machines.ts')
    if (choosesMany(targets) || targets.names.length > 1) {
      const machines = choosesMany(targets)
        ? await chooseEngines({ fleet, io, targets, format })
        : await namedMachines(fleet, targets)
      const { yes } = options
      return provisionAll({ fleet, io, format }, machines, { yes, concurrency: targets.parallel })
    }
    const { provisionMachine } = await import('../../operations/provision/provision-machine.ts')
    const [machine] = await namedMachines(fleet, targets)
    if (machine === undefined) throw new TypeError('no machine was chosen')
    const provisioned = await withProgress(io, format, machine.name, (progress) =>
      provisionMachine(fleet, machine, {
        progress,
        approve: (plan) =>
          approvePlan(io, { name: machine.name, plan, yes: options.yes, json: format.json }),
      }),
    )
    if (format.json) writeJson(io, asJson(provisioned))
    else io.stderr.write(`${resultOf(machine.name, provisioned)}\n`)
    return exitCodes.ok
  },
})
