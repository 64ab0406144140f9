import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UserError, fileProblemOf } from '../../errors.ts'
import type { ChangePlan } from '../../operations/plan/change-plan.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, parsed, text } from '../command.ts'
import { parseSeconds } from '../options/numbers.ts'
import { describeHosts } from './describe-hosts.ts'
import { planCode, planDescriber } from './show-plan.ts'

/** The default time limit for each host, in seconds. */
const defaultTimeout = 10

/** Options of the commands that compare the inventory with the hosts and providers. */
export const planOptions = {
  skipHosts: flag('--skip-hosts', 'query only the providers, without connecting to hosts'),
  timeout: parsed(
    '--timeout <seconds>',
    `time limit for each host (default: ${defaultTimeout})`,
    parseSeconds,
  ),
} as const

/** Resolves to the names of the machines that options select, or undefined for all machines. */
export async function chosenNames({
  fleet,
  targets,
}: Pick<Invocation, 'fleet' | 'targets'>): Promise<ReadonlySet<string> | undefined> {
  if (targets.machine === undefined && targets.on.length === 0) return undefined
  const { listMachines } = await import('../../operations/inventory/choose-machines.ts')
  return new Set((await listMachines(fleet, targets)).map(({ name }) => name))
}

/** Compares the inventory with the hosts and providers, and shows the progress. */
export async function computePlan(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  chosen: ReadonlySet<string> | undefined,
  options: { readonly skipHosts: boolean; readonly timeout: number | undefined },
): Promise<ChangePlan> {
  const { makePlan } = await import('../../operations/plan/make-plan.ts')
  const { skipHosts, timeout = defaultTimeout } = options
  return withProgress(
    io,
    format,
    'plan',
    (progress) => makePlan(fleet, { skipHosts, timeoutMs: timeout * 1000, progress, chosen }),
    { isMachine: false },
  )
}

export const plan = defineCommand({
  name: 'plan',
  summary: 'Show the changes that fleet apply would make',
  description:
    'Compare the inventory with the hosts and their providers. The plan lists machines to create, adopt, change, start or remove, SSH keys to add or revoke, changes that were made outside of fleet, and hosts that are not in the inventory. This command changes nothing. With --on, the plan covers only the chosen machines. The exit code is 0 if there is nothing to do, 2 if there are changes to apply, and 1 if there are problems that fleet apply cannot fix.',
  targets: 'many',
  allAtOnce: true,
  options: {
    ...planOptions,
    out: text('--out <file>', 'save the plan to a file, for fleet apply --plan', 'file'),
  },
  answers: 'json',
  examples: [
    'fleet plan',
    'fleet plan --on role=web',
    'fleet plan --out today.plan && fleet apply --plan today.plan',
  ],
  async run({ fleet, io, options, targets, format }) {
    const chosen = await chosenNames({ fleet, targets })
    const made = await computePlan({ fleet, io, format }, chosen, options)
    if (options.out !== undefined) {
      const file = resolve(io.cwd, options.out)
      await writeFile(file, `${JSON.stringify(made, undefined, 2)}\n`).catch((error: unknown) => {
        throw new UserError('failed', `cannot write ${file}: ${fileProblemOf(error)}`)
      })
    }
    if (format.json) writeJson(io, made)
    else {
      const shown = await describeHosts({ fleet }, made.changes)
      io.stdout.write(planDescriber(io, 'stdout', shown)(made))
    }
    return planCode(made)
  },
})
