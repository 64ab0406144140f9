import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { runGit } from '../../state/merge/git.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import type { PlannedDeployment } from '../plan/change-plan.ts'
import { type Deployed, deployMachine } from './deploy-machine.ts'
import { currentOwner } from './host-store/lock-owner.ts'
import { type ImageBuilder, openImageBuilder } from './builds/build-images.ts'
import {
  type PreparedStack,
  composeFinder,
  digestOf,
  prepareStack,
  resolveForAddress,
} from './prepare-stack.ts'
import type { DeployCalls } from './run-release.ts'
import { openTarget } from './runners/open-target.ts'
import { machineVariables } from './stack-files.ts'

/** Returns the git commit that is checked out in a directory; undefined if there is none. */
async function commitIn(folder: string, env: Context['env']): Promise<string | undefined> {
  const none = { code: 1, stdout: '', stderr: '' }
  const { code, stdout } = await runGit(folder, ['rev-parse', '-q', '--verify', 'HEAD'], env).catch(
    ignored('git', "find a stack's commit", none),
  )
  const commit = stdout.trim()
  return code === 0 && /^[0-9a-f]{40,64}$/.test(commit) ? commit : undefined
}

/** A prepared stack, with its deployments in a plan. */
export interface StackToDeploy extends PreparedStack {
  readonly deployments: readonly PlannedDeployment[]
  readonly commit: string | undefined
  /** Provides the images that the stack builds. */
  readonly images: ImageBuilder
}

const changedSince = (stack: string): UserError =>
  new UserError('usage', `files used by stack ${stack} have changed since the plan was made`, {
    hint: 'make a new plan: fleet plan',
  })

/**
 * Prepares the stacks of planned deployments, in the order of the inventory. Throws kind `usage` if a stack has changed
 * since the plan was made.
 */
export async function prepareDeployments(
  context: Context,
  inventory: Inventory,
  planned: readonly PlannedDeployment[],
): Promise<readonly StackToDeploy[]> {
  if (planned.length === 0) return []
  const findCompose = composeFinder(context)
  const stacks = [...inventory.stacks.values()].map(async (stack) => {
    const deployments = planned.filter((one) => one.stack === stack.name)
    if (deployments.length === 0) return []
    const machines = deployments.map(({ machine }) => findMachine(inventory, machine))
    const prepared = await prepareStack(context, stack, machines, findCompose)
    for (const { machine, digest } of deployments) {
      const resolved = prepared.models.get(machine)
      if (resolved === undefined || digestOf(resolved) !== digest) throw changedSince(stack.name)
    }
    const commit = await commitIn(prepared.files.folder, context.env)
    const { files, compose } = prepared
    const images = openImageBuilder(context, {
      ...{ stack, compose, folder: files.folder, variables: files.variables },
    })
    return [{ ...prepared, deployments, commit, images }]
  })
  return (await Promise.all(stacks)).flat()
}

/**
 * Deploys a prepared stack on one of its machines, which may have been created after the plan was made. Throws as
 * `deployMachine` does.
 */
export async function deployPrepared(
  context: Context,
  prepared: StackToDeploy,
  { machine: name, pull }: PlannedDeployment,
  { waitMs, ...calls }: DeployCalls & { readonly waitMs?: number | undefined },
): Promise<Deployed> {
  const { stack, files, compose, commit, images } = prepared
  const stoppable = context.with({ signal: calls.signal })
  if (stack.swarm !== undefined) {
    const { deploySwarmStack } = await import('../swarm-stacks/deploy-swarm-stack.ts')
    return deploySwarmStack(stoppable, prepared, name, { ...calls, waitMs })
  }
  const inventory = await (await context.inventory()).read()
  const machine: Machine = findMachine(inventory, name)
  const resolved = await resolveForAddress(prepared, machine)
  if (resolved === undefined) throw changedSince(stack.name)
  calls.progress('connect')
  const target = await openTarget(stoppable, compose, machine, stack.name)
  await images.provide(machine, resolved, calls)
  return await deployMachine(
    target,
    {
      ...{ stack, resolved, commit, waitMs, pull: pull === true },
      variables: { ...files.variables, ...machineVariables(machine) },
      owner: currentOwner(`deploy ${stack.name}`),
    },
    calls,
  )
}
