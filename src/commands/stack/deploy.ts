import { UserError, exitCodes } from '../../errors.ts'
import { digestInventory } from '../../operations/plan/change-plan.ts'
import type { StackPlan } from '../../operations/stacks/plan-stacks.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { colorsOf } from '../../ui/color.ts'
import { counted } from '../../ui/human-units.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { type Styled, compose, joinText } from '../../ui/styled.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, any, defineCommand, flag } from '../command.ts'
import { allowNamedPaths, allowPathOption } from '../inventory/confirm-grants.ts'
import { chosenNames, planOptions } from '../inventory/plan.ts'
import { deploymentLines, countDeployments, issueLines } from '../inventory/show-plan.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import {
  allowNamedVariables,
  confirmStackGrants,
  deployOptions,
  runDeployments,
} from './run-deployments.ts'

/** The default time limit for each host, in seconds. */
const defaultTimeout = 10

/**
 * Resolves to the names of the chosen stacks, or of all stacks if none are chosen. Throws kind `usage` for an unknown
 * stack, or if there are no stacks.
 */
async function chooseStacks(
  inventory: Inventory,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  if (inventory.stacks.size === 0) {
    throw new UserError('usage', 'the inventory has no stacks', {
      hint: 'add a stack to machines.yaml: stacks: { shop: { compose: shop/compose.yaml, on: role=web } }',
    })
  }
  const { findStack } = await import('../../operations/stacks/deployed/choose-stack.ts')
  const chosen = names.map((name) => findStack(inventory, name).name)
  return new Set(names.length === 0 ? inventory.stacks.keys() : chosen)
}

/** Describes a plan for deploying stacks. */
function describe(
  { io }: Pick<Invocation, 'io'>,
  { deployments, issues }: StackPlan,
  stream: 'stdout' | 'stderr',
): Styled {
  const colors = colorsOf(io, stream)
  const { bold } = colors
  return joinText(
    [
      ...(deployments.length === 0
        ? []
        : [
            compose`${bold('fleet deploy will make these changes:')}\n`,
            ...deploymentLines(colors, deployments),
            compose`${bold('Plan:')} ${countDeployments(deployments)}.\n`,
          ]),
      ...issueLines(colors, issues),
    ],
    '',
  )
}

export const deploy = defineCommand({
  name: 'deploy',
  summary: 'Deploy stacks from Compose files to their machines',
  description:
    'Compare the stacks in the inventory with the containers on their machines, show the changes, ask for confirmation, and deploy the stacks. Each stack is deployed to one batch of machines at a time, and deployment stops at the first failure. If containers do not become healthy, the machine returns to its previous release. If deploy is interrupted, run it again to continue.',
  arguments: { stacks: any('stacks', 'stack names (default: all)', 'stack') },
  options: {
    pull: flag('--pull', 'first pull newer images for the tags in the Compose files'),
    ...deployOptions,
    allowPath: allowPathOption,
    timeout: planOptions.timeout,
    yes: yesOption,
  },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: [
    'fleet deploy',
    'fleet deploy shop --on web-1',
    'sops exec-env prod.enc.env "fleet deploy shop --yes"',
  ],
  async run({ fleet, io, args, options, targets, format }) {
    const context = { fleet, io, format }
    const store = await fleet.inventory()
    const before = await store.read()
    const stacks = await chooseStacks(before, args.stacks)
    await allowNamedPaths(context, options.allowPath)
    await allowNamedVariables(context, options.allowVariable, stacks)
    const chosen = await chosenNames({ fleet, targets })
    const { requireMachines } = await import('../../operations/stacks/deployed/choose-stack.ts')
    requireMachines(before, args.stacks)
    const { planStacks } = await import('../../operations/stacks/plan-stacks.ts')
    const { timeout = defaultTimeout, pull } = options
    const plan = await withProgress(
      ...([io, format, 'plan'] as const),
      (progress) =>
        planStacks(fleet, before, { stacks, chosen, pull, progress, timeoutMs: timeout * 1000 }),
      { isMachine: false },
    )
    const { deployments, issues } = plan
    const issueCode = issues.length > 0 ? exitCodes.failed : exitCodes.ok
    if (deployments.length === 0) {
      if (format.json) writeJson(io, [])
      io.stderr.write(describe(context, plan, 'stderr'))
      if (issues.length === 0 && !format.json) io.stderr.write('nothing to do\n')
      return issueCode
    }
    if (format.json) io.stderr.write(`${JSON.stringify({ event: 'plan', deployments, issues })}\n`)
    const introduction = format.json ? '' : describe(context, plan, 'stderr')
    await requireConsent(io, options.yes, 'Make these changes?', introduction)
    const inventory = await store.read()
    if (digestInventory(inventory) !== digestInventory(before)) {
      throw new UserError('usage', 'the inventory has changed since the plan was made', {
        hint: 'run the command again',
      })
    }
    const { prepareDeployments } = await import('../../operations/stacks/apply-stacks.ts')
    const prepared = await prepareDeployments(fleet, inventory, deployments)
    await confirmStackGrants(context, prepared, 'fleet deploy')
    const { deployed, code } = await runDeployments(context, prepared, {
      waitLock: options.waitLock,
    })
    if (format.json) writeJson(io, deployed)
    else
      io.stderr.write(
        `completed ${deployed.length} of ${counted(deployments.length, 'deployment')}\n`,
      )
    return code === exitCodes.ok ? issueCode : code
  },
})
