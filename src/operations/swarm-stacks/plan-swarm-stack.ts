import { type Machine, hasHost } from '../../machine/machine.ts'
import type { Stack } from '../../machine/stacks.ts'
import { rolesOf } from '../../machine/swarms.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Context } from '../context.ts'
import { type Issue, type PlannedDeployment, issueOf } from '../plan/change-plan.ts'
import { openSwarm } from '../services/open-swarm.ts'
import { readServices } from '../services/list-services.ts'
import type { StackPlan, StackPlanOptions } from '../stacks/plan-stacks.ts'
import {
  type PreparedStack,
  type composeFinder,
  digestOf,
  prepareStack,
} from '../stacks/prepare-stack.ts'
import type { ResolvedStack } from '../stacks/resolve-stack.ts'
import { describeStackGrant } from '../stacks/stack-grants.ts'
import { usedVariables } from '../stacks/stack-files.ts'
import { compareSwarmServices } from './compare-services.ts'
import { type SwarmStack, localRoot, swarmStackOf } from './swarm-file.ts'

/** A stack on a swarm. */
export type StackOnSwarm = Stack & { readonly swarm: string }

/** Returns the file, configs and secrets to deploy for a resolved stack. Throws as `swarmStackOf` does. */
export const swarmStackIn = (
  { files: { variables } }: Pick<PreparedStack, 'files'>,
  resolved: ResolvedStack,
): Promise<SwarmStack> =>
  swarmStackOf(resolved.modelFor(localRoot), { files: resolved.files, variables })

/**
 * Returns the first machine that is a manager of the swarm and that the plan does not remove; undefined if there is
 * none.
 */
function managerOf(
  { swarms, machines }: Inventory,
  { swarm }: StackOnSwarm,
  { changes = [], chosen }: StackPlanOptions,
): Machine | undefined {
  const entry = swarms.get(swarm)
  if (entry === undefined) return undefined
  const roles = rolesOf(entry, machines.values())
  return [...machines.values()].find(
    ({ name, stopped = false }) =>
      roles.get(name) === 'manager' &&
      !stopped &&
      (chosen === undefined || chosen.has(name)) &&
      !changes.some(({ machine, action }) => machine === name && action === 'remove'),
  )
}

/**
 * The issue for a stack that uses variables that are set for each machine. Such a stack cannot be deployed on a swarm.
 */
function variableIssue(stack: string, names: readonly string[]): Issue {
  return {
    why: `stack ${stack}: the Compose files cannot use ${names.join(', ')} in a swarm`,
    hint: 'use Swarm templates, such as {{.Node.Hostname}}',
  }
}

const problem = (issue: Issue): StackPlan => ({ deployments: [], issues: [issue] })

/** Compares a stack with the services of its swarm. Changes nothing. */
export async function planSwarmStack(
  context: Context,
  inventory: Inventory,
  stack: StackOnSwarm,
  options: StackPlanOptions & { readonly findCompose: ReturnType<typeof composeFinder> },
): Promise<StackPlan> {
  const { name, swarm } = stack
  const entry = inventory.swarms.get(swarm)
  const nothing = { deployments: [], issues: [] }
  if (entry === undefined) {
    const why = `stack ${name}: there is no swarm called ${JSON.stringify(swarm)}`
    return problem({ why, hint: 'define the swarm under "swarms" in machines.yaml' })
  }
  const machine = managerOf(inventory, stack, options)
  if (machine === undefined) return nothing
  const { changes = [], findCompose, pull = false } = options
  const after = (['replace', 'create', 'adopt', 'start'] as const).find((action) =>
    changes.some((change) => change.machine === machine.name && change.action === action),
  )
  if (!hasHost(machine) && after === undefined) return nothing
  try {
    const prepared = await prepareStack(context, stack, [machine], findCompose)
    const variables = Object.keys(usedVariables(prepared.files, machine))
    if (variables.length > 0) return problem(variableIssue(name, variables))
    const resolved = prepared.models.get(machine.name)
    if (resolved === undefined) return nothing
    const { file } = await swarmStackIn(prepared, resolved)
    const isNew = entry.id === undefined
    const services = isNew
      ? []
      : await readServices(context, openSwarm(context, swarm), { stack: name })
    const drift = compareSwarmServices(name, file, services)
    const issues = drift.waiting.map(({ service, why }): Issue => ({
      why: `service ${service} in stack ${name}: ${why}`,
      hint: `to see the service's tasks: fleet service ps ${name}_${service} -m ${swarm}`,
    }))
    if (drift.changes.length === 0 && !pull) return { deployments: [], issues }
    const grants = prepared.grants.map(describeStackGrant)
    const deployment: PlannedDeployment = {
      ...{ stack: name, machine: machine.name, swarm, digest: digestOf(resolved) },
      ...(after !== undefined && { after }),
      services: drift.changes,
      ...(pull && { pull }),
      ...(grants.length > 0 && { grants }),
    }
    return { deployments: [deployment], issues }
  } catch (error) {
    context.signal.throwIfAborted()
    const { why, ...rest } = issueOf(error)
    return problem({ ...rest, why: `stack ${name}: ${why.replace(/^stack \S+: /, '')}` })
  }
}
