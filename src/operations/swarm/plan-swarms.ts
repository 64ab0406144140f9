import type { SwarmInfo } from '../../engine/swarm/info.ts'
import type { UserError } from '../../errors.ts'
import type { Progress } from '../../os/progress.ts'
import { type Swarm, findSwarmProblems } from '../../machine/swarms.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Context } from '../context.ts'
import type { Change, Issue, PlannedSwarmChange } from '../plan/change-plan.ts'
import { observePorts, planPorts } from './member-ports.ts'
import { answerOf, observeSwarms } from './observe-swarms.ts'
import { type SwarmPart, inPhases, planSwarm } from './plan-members.ts'
import { machinesLosingQuorum } from './guard-machines.ts'

/** Options of {@link planSwarms}. */
export interface SwarmPlanOptions {
  /** The changes to machines, which are made first. */
  readonly changes: readonly Change[]
  /** Machines that did not respond, with the reason for each. The plan already has issues for them. */
  readonly unreachable: ReadonlyMap<string, UserError>
  /** The names of the selected machines; if absent, all machines. */
  readonly chosen?: ReadonlySet<string> | undefined
  /** How long an engine may take to answer, in milliseconds. */
  readonly timeoutMs: number
  readonly progress: Progress
}

/** The part of a plan about swarms. */
export interface SwarmsPlan {
  readonly swarms: readonly PlannedSwarmChange[]
  readonly issues: readonly Issue[]
  /** Changes to machines that are not made, because a swarm would lose its quorum. */
  readonly refused: ReadonlySet<Change>
}

/**
 * Compares the swarms of the inventory with the answers of engines, and plans the changes. All machines are asked,
 * because a machine that no selector matches may still be a node. Changes nothing.
 */
export async function planSwarms(
  context: Context,
  inventory: Inventory,
  { changes, timeoutMs, progress, unreachable, chosen }: SwarmPlanOptions,
): Promise<SwarmsPlan> {
  progress('compare swarms with their engines')
  const machines = [...inventory.machines.values()]
  const asked = machines.filter(({ name }) => !unreachable.has(name))
  const observed = await observeSwarms(context, asked, { timeoutMs })
  const problems = findSwarmProblems(inventory.swarms, machines)
  const ambiguous = new Set(problems.flatMap(({ machine = [] }) => machine))
  const engines = new Map<string, SwarmInfo | UserError>([...observed.engines, ...unreachable])
  const { refused, issues: guarded } = machinesLosingQuorum(inventory, observed, changes)
  const made = changes.filter((change) => !refused.has(change))
  const { machines: byName } = inventory
  const planOne = async (swarm: Swarm): Promise<SwarmPart> => {
    const part = planSwarm(swarm, {
      ...{ inventory: inventory.id, machines: byName, engines },
      ...{ clusters: observed.clusters, changes: made, ambiguous, chosen },
      unreachable: new Set(unreachable.keys()),
    })
    const ports = await observePorts(context, inventory, swarm)
    const portChanges = planPorts(swarm, {
      ...{ ...ports, machines: byName, changes: made, planned: part.changes, ambiguous },
      answerOf: (machine) => answerOf({ engines }, machine),
    })
    return {
      changes: inPhases([...portChanges, ...part.changes]).flat(),
      issues: [...part.issues, ...ports.issues],
    }
  }
  const parts = await Promise.all([...inventory.swarms.values()].map(planOne))
  return {
    swarms: parts.flatMap((part) => part.changes),
    issues: [
      ...problems
        .filter(({ isWarning }) => isWarning !== true)
        .map(({ message, machine, hint }): Issue => ({
          ...(machine !== undefined && { machine }),
          why: message,
          hint: hint ?? 'change the selectors under "swarms:" or the machine labels',
        })),
      ...guarded,
      ...parts.flatMap((part) => part.issues),
    ],
    refused,
  }
}
