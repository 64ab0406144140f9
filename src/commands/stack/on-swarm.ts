import { UserError, exitCodes } from '../../errors.ts'
import type { OpenSwarm } from '../../operations/services/open-swarm.ts'
import type { RemovedStack } from '../../operations/stacks/deployed/remove-stack.ts'
import type { StackOnMachine } from '../../operations/stacks/deployed/stack-states.ts'
import { writeFailure } from '../../ui/failure.ts'
import { counted } from '../../ui/human-units.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import type { Invocation } from '../command.ts'
import { requireConsent } from '../options/confirmation.ts'
import { describeRelease } from './describe-release.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/**
 * Opens the swarm that a stack is deployed to. Resolves to undefined for a stack that is deployed to machines. Throws
 * kind `usage` if options select machines.
 */
export async function swarmOfStack(
  { fleet, targets }: Pick<Invocation, 'fleet' | 'targets'>,
  name: string,
): Promise<OpenSwarm | undefined> {
  const inventory = await (await fleet.inventory()).read()
  const swarm = inventory.stacks.get(name)?.swarm
  if (swarm === undefined) return undefined
  if (targets.machine !== undefined || targets.on.length > 0) {
    throw new UserError(
      'usage',
      `stack ${name} is deployed to swarm ${swarm}, not to individual machines`,
      {
        hint: 'omit --machine, --on and --all',
      },
    )
  }
  const { chooseSwarm, openSwarm } = await import('../../operations/services/open-swarm.ts')
  return openSwarm(fleet, chooseSwarm(inventory, swarm))
}

/**
 * Resolves to the swarms that still run a stack that has been removed from the inventory: they have services or
 * releases of the stack. Empty if options select machines. Throws kind `failed` if a swarm does not answer.
 */
export async function swarmsOfRemovedStack(
  { fleet, targets }: Pick<Invocation, 'fleet' | 'targets'>,
  name: string,
): Promise<readonly OpenSwarm[]> {
  const { stacks, swarms } = await (await fleet.inventory()).read()
  const isSelection = targets.machine !== undefined || targets.on.length > 0
  const { stackNamePattern } = await import('../../machine/stacks.ts')
  if (stacks.has(name) || isSelection || !stackNamePattern.test(name)) return []
  const initialized = [...swarms.values()].filter(({ id }) => id !== undefined)
  const { openSwarm } = await import('../../operations/services/open-swarm.ts')
  const { stateOnSwarm } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
  const found = await Promise.all(
    initialized.map(async (one) => {
      const swarm = openSwarm(fleet, one.name)
      const { state } = await stateOnSwarm(fleet, swarm, name)
      return state === 'not-deployed' ? [] : [swarm]
    }),
  )
  return found.flat()
}

/**
 * Resolves to the states of the stacks on swarms. Includes stacks that are no longer in the inventory if a swarm has
 * releases of them. Failures are reported; `code` is 1 if there are any.
 */
export async function statesOnSwarms({ fleet, io, format }: CommandContext): Promise<{
  readonly states: readonly StackOnMachine[]
  readonly code: number
}> {
  const { stacks, swarms } = await (await fleet.inventory()).read()
  const own = [...stacks.values()]
  const initialized = [...swarms.values()].filter(({ id }) => id !== undefined)
  const used = new Set([
    ...own.flatMap(({ swarm = [] }) => swarm),
    ...initialized.map(({ name }) => name),
  ])
  if (used.size === 0) return { states: [], code: exitCodes.ok }
  const { openSwarm } = await import('../../operations/services/open-swarm.ts')
  const { stateOnSwarm } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
  const { stacksWithReleases } = await import('../../operations/swarm-stacks/releases.ts')
  let code: number = exitCodes.ok
  const report = (error: unknown): [] => {
    fleet.signal.throwIfAborted()
    writeFailure(io, error, format.json)
    code = exitCodes.failed
    return []
  }
  const statesOn = async (name: string): Promise<readonly StackOnMachine[]> => {
    const swarm = openSwarm(fleet, name)
    const released = await swarm.ask(({ engine }) => stacksWithReleases(engine, fleet.signal))
    const selected = own.filter((stack) => stack.swarm === name).map((stack) => stack.name)
    const removed = released.filter((stack) => !selected.includes(stack))
    const states = [...selected, ...removed].map(async (stack) => {
      const state = await stateOnSwarm(fleet, swarm, stack).catch(report)
      return Array.isArray(state) ? [] : [{ ...state, selected: selected.includes(stack) }]
    })
    return (await Promise.all(states)).flat()
  }
  const states = await Promise.all([...used].map((name) => statesOn(name).catch(report)))
  return { states: states.flat(), code }
}

/** Restores an earlier release of a stack on a swarm. Returns the exit code. */
export async function rollBackOnSwarm(
  { fleet, io, format }: CommandContext,
  swarm: OpenSwarm,
  name: string,
  { to, yes }: { readonly to: number | undefined; readonly yes: boolean },
): Promise<number> {
  const { readSwarmReleases } = await import('../../operations/swarm-stacks/releases.ts')
  const { releaseToRestore } = await import('../../operations/stacks/restorable-releases.ts')
  const { rollBackSwarmStack } =
    await import('../../operations/swarm-stacks/rollback-swarm-stack.ts')
  const releases = await swarm.ask(({ engine }) => readSwarmReleases(engine, name, fleet.signal))
  const current = releases.find(({ isCurrent }) => isCurrent)
  const chosen = releaseToRestore({ current: current?.number, all: releases }, to, { stack: name })
  const { number } = chosen
  const from = current === undefined ? 'no release' : `release ${current.number}`
  const introduction = `This will restore an earlier release of stack ${name}:\n  swarm ${swarm.name}: ${from} -> ${describeRelease(chosen)}\n`
  await requireConsent(io, yes, 'Restore this release?', format.json ? '' : introduction)
  const wait = (await (await fleet.inventory()).read()).stacks.get(name)?.wait ?? 0
  const result = await withProgress(
    ...([io, format, name] as const),
    (progress) =>
      rollBackSwarmStack(...([fleet, swarm.name, { stack: name, number, wait }] as const), {
        progress,
        signal: fleet.signal,
      }),
    { isMachine: false },
  )
  if (format.json) writeJson(io, [result])
  else io.stderr.write(`swarm ${swarm.name}: release ${number} is running again\n`)
  return exitCodes.ok
}

/**
 * Removes a stack from its swarms. There can be more than one swarm only if the stack is no longer in the inventory.
 * Returns the exit code.
 */
export async function removeFromSwarms(
  { fleet, io, format }: CommandContext,
  swarms: readonly OpenSwarm[],
  name: string,
  options: { readonly volumes: boolean; readonly yes: boolean },
): Promise<number> {
  const removed: RemovedStack[] = []
  for (const swarm of swarms) {
    removed.push(await removeFromSwarm({ fleet, io, format }, swarm, name, options))
    if (!format.json) io.stderr.write(`removed stack ${name} from swarm ${swarm.name}\n`)
  }
  if (format.json) writeJson(io, removed)
  return exitCodes.ok
}

/** Removes a stack from a swarm after asking for confirmation. */
async function removeFromSwarm(
  { fleet, io, format }: CommandContext,
  swarm: OpenSwarm,
  name: string,
  { volumes, yes }: { readonly volumes: boolean; readonly yes: boolean },
): Promise<RemovedStack> {
  if (volumes) {
    throw new UserError(
      'unsupported',
      `fleet does not remove volumes from swarm ${swarm.name}, so --volumes cannot be used`,
      {
        hint: 'to remove volumes from the nodes: fleet volume ls --all, then fleet volume rm',
      },
    )
  }
  const { serviceNames } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
  const { removeSwarmStack } = await import('../../operations/swarm-stacks/deploy-swarm-stack.ts')
  const services = await serviceNames(fleet, swarm, name)
  const list = services.length === 0 ? '' : ` (${services.join(', ')})`
  const preface = `This will remove ${counted(services.length, 'service')}${list}, and the networks, configs, secrets and releases of stack ${name} on swarm ${swarm.name}.\n`
  await requireConsent(io, yes, `Remove stack ${name}?`, format.json ? '' : preface)
  const { machine } = await withProgress(
    ...([io, format, name] as const),
    (progress) => removeSwarmStack(fleet, swarm.name, name, { progress, signal: fleet.signal }),
    { isMachine: false },
  )
  return {
    ...{ stack: name, machine, containers: 0, networks: [], volumes: [], keptVolumes: [] },
    services,
  }
}
