import type { Engine } from '../../../engine/engine.ts'
import { readSwarmInfo } from '../../../engine/swarm/info.ts'
import { type SwarmNode, updateNode } from '../../../engine/swarm/nodes.ts'
import { UserError } from '../../../errors.ts'
import { engineLogCommand } from '../../../machine/host-command.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { Progress } from '../../../os/progress.ts'
import { poll, retry } from '../../../os/retry.ts'
import { ignored } from '../../../os/trace.ts'
import type { Context } from '../../context.ts'
import { type Manager, findManager, initializedSwarm } from '../find-manager.ts'
import { withLabels } from '../node-labels.ts'

/** Callbacks and options for the work on one machine. */
export interface SwarmCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
  /** How long the tasks of a drained node may take to stop, in milliseconds. If 0, the work does not wait for them. */
  readonly drainMs?: number
}

/** The default time limit for a node to reach its target state, in milliseconds. */
export const nodeMs = 60_000

/** The pause between checks, in milliseconds. */
const pauseMs = 250

/** How long managers may take to elect a leader, in milliseconds. Until then, none of them answers. */
const electionMs = 60_000

/** The work on one machine of a swarm. */
export interface Work extends SwarmCalls {
  readonly context: Context
  readonly swarm: string
  readonly machine: Machine
  /**
   * Machines that may leave the swarm during this work, including this one. Other managers are asked first. If absent,
   * no machine leaves.
   */
  readonly leaving?: ReadonlySet<string>
}

export const engineOf = ({ context, machine, signal }: Work): Promise<Engine> =>
  context.with({ signal }).engine(machine)

/**
 * Waits until `check` returns a result. Errors are ignored, because they are normal during leader elections and while
 * engines are busy.
 */
export async function waitFor<Value>(
  { signal, machine }: Work,
  check: () => Promise<Value | undefined>,
  problem: () => string,
  {
    limitMs = nodeMs,
    hint = `run fleet apply again; to see the engine log: ${engineLogCommand(machine)}`,
  }: { readonly limitMs?: number; readonly hint?: string } = {},
): Promise<Value> {
  return poll<Value | undefined>(() => check().catch(ignored('engine', 'check a node')), {
    ...{ signal, pauseMs, withinMs: limitMs },
    otherwise: () => {
      throw new UserError('failed', problem(), {
        machine: machine.name,
        hint,
      })
    },
  }).then((value) => value as Value)
}

/** Finds a manager that responds, preferably one that is not leaving the swarm. */
export const managerOf = ({ context, swarm, leaving, signal }: Work): Promise<Manager> =>
  retry(() => findManager(context, swarm, { signal, ...(leaving && { leaving }) }), {
    ...{ signal, pauseMs, withinMs: electionMs },
    canRetry: (error) => error instanceof UserError && error.kind === 'failed',
  })

/** Finds a node of a swarm; undefined if no manager lists it. */
export async function findNode(work: Work, node: string): Promise<SwarmNode | undefined> {
  const { nodes } = await managerOf(work)
  return nodes.find(({ ID }) => ID === node)
}

/** Formats the error that an engine reports about its swarm, as the end of a message. */
export const engineError = (error: string): string =>
  error === '' ? '' : `; engine error: ${error}`

/** Sets the labels of a node, and activates it if it has just joined or if fleet has drained it. */
export async function finishNode(work: Work, known?: string): Promise<void> {
  const { context, machine, progress, signal } = work
  progress('set node labels')
  const { nodeId = known } = await readSwarmInfo(await engineOf(work), signal)
  const { swarm } = await initializedSwarm(context, work.swarm)
  const { engine, nodes } = await managerOf(work)
  if (nodeId === undefined || !nodes.some(({ ID }) => ID === nodeId)) {
    throw new UserError('failed', `the machine is not a node in swarm ${work.swarm}`, {
      machine: machine.name,
      hint: 'make a new plan: fleet plan',
    })
  }
  await updateNode(engine, nodeId, (spec) => withLabels(swarm, machine, spec), signal)
}
