import { UserError, exitCodes } from '../../errors.ts'
import type { OpenSwarm } from '../../operations/services/open-swarm.ts'
import type { RemovedStack } from '../../operations/stacks/deployed/remove-stack.ts'
import type { StackOnMachine } from '../../operations/stacks/deployed/stack-states.ts'
import { writeFailure } from '../../ui/failure.ts'
import { counted, humanAge } from '../../ui/human-units.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import type { Invocation } from '../command.ts'
import { requireConsent } from '../options/confirmation.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** The swarm of a stack, opened; undefined for stacks on machines. Throws kind `usage` if options select machines. */
export async function swarmOfStack(
  { fleet, targets }: Pick<Invocation, 'fleet' | 'targets'>,
  name: string,
): Promise<OpenSwarm | undefined> {
  const inventory = await (await fleet.inventory()).read()
  const swarm = inventory.stacks.get(name)?.swarm
  if (swarm === undefined) return undefined
  if (targets.machine !== undefined || targets.on.length > 0) {
    throw new UserError('usage', `stack ${name} is on swarm ${swarm}, not on single machines`, {
      hint: 'omit --machine, --on and --all',
    })
  }
  const { chooseSwarm, openSwarm } = await import('../../operations/services/open-swarm.ts')
  return openSwarm(fleet, chooseSwarm(inventory, swarm))
}

/** The states of the stacks on swarms. Failures are reported; `code` is 1 if there are any. */
export async function statesOnSwarms({ fleet, io, format }: CommandContext): Promise<{
  readonly states: readonly StackOnMachine[]
  readonly code: number
}> {
  const { stacks } = await (await fleet.inventory()).read()
  const onSwarms = [...stacks.values()].flatMap(({ name, swarm }) =>
    swarm === undefined ? [] : [{ name, swarm }],
  )
  if (onSwarms.length === 0) return { states: [], code: exitCodes.ok }
  const { openSwarm } = await import('../../operations/services/open-swarm.ts')
  const { stateOnSwarm } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
  const found = await Promise.all(
    onSwarms.map(({ name, swarm }) =>
      stateOnSwarm(fleet, openSwarm(fleet, swarm), name).catch((error: unknown) => {
        fleet.signal.throwIfAborted()
        writeFailure(io, error, format.json)
        return undefined
      }),
    ),
  )
  const states = found.flatMap((state) => state ?? [])
  return { states, code: states.length === found.length ? exitCodes.ok : exitCodes.failed }
}

/** Restores an earlier release of a stack on a swarm. Returns the exit code. */
export async function rollBackOnSwarm(
  { fleet, io, format }: CommandContext,
  swarm: OpenSwarm,
  name: string,
  { to, yes }: { readonly to: number | undefined; readonly yes: boolean },
): Promise<number> {
  const { chooseSwarmRelease, readSwarmReleases } =
    await import('../../operations/swarm-stacks/releases.ts')
  const { restoreSwarmRelease } =
    await import('../../operations/swarm-stacks/deploy-swarm-stack.ts')
  const releases = await swarm.ask(({ engine }) => readSwarmReleases(engine, name, fleet.signal))
  const { number, at, by } = chooseSwarmRelease(name, releases, to)
  const current = releases.find(({ isCurrent }) => isCurrent)
  const time = Date.parse(at)
  const when = Number.isNaN(time) ? '' : `deployed ${humanAge(time / 1000)} `
  const from = current === undefined ? 'no release' : `release ${current.number}`
  const preface = `This restores an earlier release of stack ${name}:\n  swarm ${swarm.name}: ${from} -> release ${number} (${when}by ${by})\n`
  await requireConsent(io, yes, 'Restore this release?', format.json ? '' : preface)
  const wait = (await (await fleet.inventory()).read()).stacks.get(name)?.wait ?? 0
  const result = await withProgress(
    ...([io, format, name] as const),
    (progress) =>
      restoreSwarmRelease(...([fleet, swarm, { stack: name, number, wait }] as const), {
        progress,
        signal: fleet.signal,
      }),
    { isMachine: false },
  )
  if (format.json) writeJson(io, [result])
  else io.stderr.write(`swarm ${swarm.name}: release ${number} is running again\n`)
  return exitCodes.ok
}

/** Removes a stack from its swarm. Returns the exit code. */
export async function removeFromSwarm(
  { fleet, io, format }: CommandContext,
  swarm: OpenSwarm,
  name: string,
  { volumes, yes }: { readonly volumes: boolean; readonly yes: boolean },
): Promise<number> {
  if (volumes) {
    throw new UserError(
      'unsupported',
      `--volumes: volumes of swarm ${swarm.name} are not removed`,
      {
        hint: 'they are on the nodes: fleet volume ls --all, fleet volume rm',
      },
    )
  }
  const { serviceNames } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
  const { removeSwarmStack } = await import('../../operations/swarm-stacks/deploy-swarm-stack.ts')
  const services = await serviceNames(fleet, swarm, name)
  const list = services.length === 0 ? '' : ` (${services.join(', ')})`
  const preface = `This removes ${counted(services.length, 'service')}${list}, and the networks, configs, secrets and releases of stack ${name} on swarm ${swarm.name}.\n`
  await requireConsent(io, yes, 'Remove it?', format.json ? '' : preface)
  const { machine } = await withProgress(
    ...([io, format, name] as const),
    (progress) => removeSwarmStack(fleet, swarm, name, { progress, signal: fleet.signal }),
    { isMachine: false },
  )
  const removed: RemovedStack = {
    ...{ stack: name, machine, containers: 0, networks: [], volumes: [], keptVolumes: [] },
    services,
  }
  if (format.json) writeJson(io, [removed])
  else io.stderr.write(`removed stack ${name} from swarm ${swarm.name}\n`)
  return exitCodes.ok
}
