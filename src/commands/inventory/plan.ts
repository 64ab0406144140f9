import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UserError, messageOf } from '../../errors.ts'
import type { ChangePlan } from '../../operations/plan/change-plan.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, parsed, text } from '../command.ts'
import { parseSeconds } from '../options/numbers.ts'
import { describePlan, planCode } from './show-plan.ts'

/** In seconds. */
const usualTimeout = 10

/** What commands that compare the inventory with the world take. */
export const lookOptions = {
  providersOnly: flag('--providers-only', 'ask the providers, and connect to no host'),
  timeout: parsed(
    '--timeout <seconds>',
    `how long to wait for each host (${usualTimeout})`,
    parseSeconds,
  ),
} as const

/** The machines that options choose, by name; undefined where all are meant. */
export async function chosenNames({
  fleet,
  targets,
}: Pick<Invocation, 'fleet' | 'targets'>): Promise<ReadonlySet<string> | undefined> {
  if (targets.machine === undefined && targets.on.length === 0) return undefined
  const { listMachines } = await import('../../operations/inventory/choose-machines.ts')
  return new Set((await listMachines(fleet, targets)).map(({ name }) => name))
}

/** Compares the inventory with the world, for the machines chosen, and shows how that goes. */
export async function lookAtWorld(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  chosen: ReadonlySet<string> | undefined,
  options: { readonly providersOnly: boolean; readonly timeout: number | undefined },
): Promise<ChangePlan> {
  const { makePlan } = await import('../../operations/plan/make-plan.ts')
  const { providersOnly, timeout = usualTimeout } = options
  return withProgress(io, format, 'plan', (progress) =>
    makePlan(fleet, { providersOnly, timeoutMs: timeout * 1000, progress, chosen }),
  )
}

export const plan = defineCommand({
  name: 'plan',
  summary: 'Show what fleet apply would do, and what changed outside',
  description:
    'Compare the inventory with the world: what is to be created, adopted, started, whose keys are to be let in or revoked, what changed outside, and what no entry owns. Changes nothing. With --on it is about the machines chosen, and names the others. The exit code is 0 when there is nothing to do, 2 when changes wait, 1 when something is left that apply cannot do.',
  targets: 'many',
  allAtOnce: true,
  options: { ...lookOptions, out: text('--out <file>', 'keep the plan for fleet apply', 'file') },
  answers: 'json',
  examples: [
    'fleet plan',
    'fleet plan --on role=web',
    'fleet plan --out today.plan && fleet apply --plan today.plan',
  ],
  async run({ fleet, io, options, targets, format }) {
    const chosen = await chosenNames({ fleet, targets })
    const made = await lookAtWorld({ fleet, io, format }, chosen, options)
    if (options.out !== undefined) {
      const file = resolve(io.cwd, options.out)
      await writeFile(file, `${JSON.stringify(made, undefined, 2)}\n`).catch((error: unknown) => {
        throw new UserError('failed', `cannot write ${file}: ${messageOf(error)}`)
      })
    }
    if (format.json) writeJson(io, made)
    else io.stdout.write(describePlan(made))
    return planCode(made)
  },
})
