import type { Plan } from '../../provision/plan.ts'
import type { Io } from '../../ui/io.ts'
import { requireConsent } from './confirmation.ts'

/** Says what is to change on a host, and makes sure that the person wants it. */
export async function approvePlan(
  io: Io,
  { name, plan, yes, json }: { name: string; plan: Plan; yes: boolean; json: boolean },
): Promise<true> {
  if (json) {
    const changes = plan.map(({ why }) => why)
    io.stderr.write(`${JSON.stringify({ event: 'plan', machine: name, changes })}\n`)
    await requireConsent(io, yes, 'Go on?')
    return true
  }
  const lines = plan.map(({ why }) => `  - ${why}\n`)
  await requireConsent(io, yes, 'Go on?', `On ${name}, fleet will:\n${lines.join('')}`)
  return true
}
