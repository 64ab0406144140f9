import { UserError, exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Release, Releases } from '../../operations/stacks/host-store/releases.ts'
import type { RolledBack } from '../../operations/stacks/rollback-machine.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { writeFailure } from '../../ui/failure.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, parsed, required } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { describeRelease } from './describe-release.ts'
import { rollBackOnSwarm, swarmOfStack } from './on-swarm.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import { parseCount } from '../options/numbers.ts'

/** The change that a rollback makes on one machine. */
interface Step {
  readonly machine: Machine
  readonly from: Release | undefined
  readonly to: Release
}

/** Formats the steps. Machines that change between the same releases share a line. */
function describeSteps(stack: string, steps: readonly Step[]): string {
  const groups = new Map<string, string[]>()
  for (const { machine, from, to } of steps) {
    const line = `${from === undefined ? 'no release' : `release ${from.number}`} -> ${describeRelease(to)}`
    groups.set(line, [...(groups.get(line) ?? []), machine.name])
  }
  const lines = [...groups].map(([line, names]) => `  ${foldNames(names)}: ${line}\n`)
  return `This will restore an earlier release of stack ${stack}:\n${lines.join('')}`
}

/** Resolves to the stack's machines that the options select, or to all its machines. */
async function chooseMachines(
  { fleet, targets }: Pick<Invocation, 'fleet' | 'targets'>,
  name: string,
): Promise<readonly Machine[]> {
  const { chooseStack } = await import('../../operations/stacks/deployed/choose-stack.ts')
  const { stack, machines } = await chooseStack(fleet, name, targets)
  if (stack === undefined) return machines
  const { machinesOf } = await import('../../machine/stacks.ts')
  const own = machinesOf(stack, machines)
  if (own.length > 0) return own
  throw new UserError('unknown-machine', `stack ${name} is not on any of the selected machines`, {
    hint: 'to list stacks and their machines: fleet stack ls',
  })
}

/**
 * Reads the releases on each machine, and chooses the one to restore. Failures are reported; if there are any, `code`
 * is 1, and the caller must not change anything.
 */
async function planSteps(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  machines: readonly Machine[],
  { stack, to }: { readonly stack: string; readonly to: number | undefined },
): Promise<{ readonly steps: readonly Step[]; readonly code: number }> {
  const { openStore } = await import('../../operations/stacks/host-store/open-store.ts')
  const { readReleases } = await import('../../operations/stacks/host-store/releases.ts')
  const { releaseToRestore } = await import('../../operations/stacks/restorable-releases.ts')
  const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
  const outcomes = await fanOutInOrder(
    machines,
    async (machine, signal): Promise<Step> => {
      const { host, mirror } = await openStore(fleet.with({ signal }), machine, stack)
      const releases: Releases = await readReleases(host, mirror.folder)
      const chosen = releaseToRestore(releases, to, { stack, machine: machine.name })
      const from = releases.all.find(({ number }) => number === releases.current)
      return { machine, from, to: chosen }
    },
    { signal: fleet.signal },
  )
  const { values, code } = summarize({ io, format }, outcomes)
  return { steps: values, code }
}

const describeResult = ({ machine, from, release }: RolledBack): string =>
  `${machine}: release ${release} is running again${from === undefined ? '' : `, replacing release ${from}`}\n`

export const stackRollback = defineCommand({
  name: 'rollback',
  summary: 'Restore an earlier release of a stack',
  description:
    'Restore an earlier release of a stack on its machines: its containers, files and images, from copies kept on the hosts. Neither a registry nor the Compose files are required. The machines are changed in the same batches as in a deployment, and the rollback stops at the first failure. If a release does not become healthy, the machine returns to the release it was running. The next fleet deploy or fleet apply will deploy the Compose files again, so revert those too.',
  arguments: { stack: required('stack', 'name of the stack', 'stack') },
  options: {
    to: parsed(
      '--to <release>',
      'release number (default: the newest release before the current one)',
      (text) => parseCount(text, 1),
    ),
    yes: yesOption,
  },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: ['fleet stack rollback shop', 'fleet stack rollback shop --to 3 --on web-1'],
  async run({ fleet, io, args, options, targets, format }) {
    const context = { fleet, io, format }
    const name = args.stack
    const swarm = await swarmOfStack({ fleet, targets }, name)
    if (swarm !== undefined) return rollBackOnSwarm(context, swarm, name, options)
    const machines = await chooseMachines({ fleet, targets }, name)
    const { steps, code: planCode } = await planSteps(context, machines, {
      ...{ stack: name, to: options.to },
    })
    if (planCode !== exitCodes.ok) {
      writeFailure(io, new UserError('failed', 'nothing was changed'), format.json)
      return planCode
    }
    const introduction = format.json ? '' : describeSteps(name, steps)
    await requireConsent(io, options.yes, 'Restore these releases?', introduction)
    const { stackOf, batchSize } = await import('../../machine/stacks.ts')
    const { currentOwner } = await import('../../operations/stacks/host-store/lock-owner.ts')
    const { findStackCompose } = await import('../../operations/stacks/runners/stack-compose.ts')
    const { openTarget } = await import('../../operations/stacks/runners/open-target.ts')
    const { rollbackMachine } = await import('../../operations/stacks/rollback-machine.ts')
    const { stacks } = await (await fleet.inventory()).read()
    const stack = stacks.get(name) ?? stackOf(name, { compose: [], on: [] })
    const compose = await findStackCompose(
      fleet,
      steps.map(({ machine }) => machine),
    )
    const owner = currentOwner(`roll back ${name}`)
    const planned = new Map(steps.map(({ machine, to }) => [machine, to.number]))
    const outcomes = await workOnMachines(
      context,
      steps.map(({ machine }) => machine),
      async (machine, calls) =>
        rollbackMachine(
          await openTarget(fleet, compose, machine, name),
          { stack, to: planned.get(machine), owner },
          calls,
        ),
      { concurrency: batchSize(stack, steps.length), maxFail: 1, throwsAlone: false },
    )
    const { values, code } = summarize(context, outcomes)
    if (format.json) writeJson(io, values)
    else for (const value of values) io.stderr.write(describeResult(value))
    const rest = machines.filter((machine) => !outcomes.some((one) => one.machine === machine))
    if (rest.length > 0) {
      const names = foldNames(rest.map((machine) => machine.name))
      writeFailure(
        io,
        new UserError('failed', `${names}: not rolled back, because another rollback failed`),
        format.json,
      )
    }
    return code
  },
})
