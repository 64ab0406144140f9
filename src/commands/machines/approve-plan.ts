import type { Plan } from '../../provision/plan.ts'
import type { Io } from '../../ui/io.ts'
import type { ProgressDisplay } from '../../ui/progress.ts'
import { requireConsent } from './confirmation.ts'

/** Says what is to change on a host, and makes sure that the person wants it. */
export async function approvePlan(
  io: Io,
  progress: ProgressDisplay,
  { name, plan, yes }: { name: string; plan: Plan; yes: boolean },
): Promise<true> {
  progress.pause()
  io.stderr.write(`On ${name}, fleet will:\n`)
  for (const { why } of plan) io.stderr.write(`  - ${why}\n`)
  await requireConsent(io, yes, 'Go on?')
  return true
}
