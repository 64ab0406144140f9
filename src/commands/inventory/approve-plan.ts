import type { Machine } from '../../machine/machine.ts'
import type { Plan } from '../../provision/engine/plan.ts'
import type { Io } from '../../ui/io.ts'
import { requireConsent } from '../options/confirmation.ts'
import type { Proposal } from '../multi/confirm-and-run.ts'

/** What changes on a host, as one object of JSON or in words. */
function describePlan(name: string, plan: Plan, json: boolean): string {
  const changes = plan.map(({ why }) => why)
  if (json) return `${JSON.stringify({ event: 'plan', machine: name, changes })}\n`
  return `On ${name}, fleet will:\n${changes.map((why) => `  - ${why}\n`).join('')}`
}

/** Says what is to change on a host, and makes sure that the person wants it. */
export async function approvePlan(
  io: Io,
  { name, plan, yes, json }: { name: string; plan: Plan; yes: boolean; json: boolean },
): Promise<true> {
  const text = describePlan(name, plan, json)
  if (json) io.stderr.write(text)
  await requireConsent(io, yes, 'Go on?', json ? '' : text)
  return true
}

/** Says what is to change on several hosts, and makes sure that the person wants all of it. */
export async function approvePlans(
  io: Io,
  proposals: readonly Proposal<Plan>[],
  { json }: { readonly json: boolean },
): Promise<ReadonlySet<Machine>> {
  const text = proposals.map(({ machine, plan }) => describePlan(machine.name, plan, json)).join('')
  if (json) io.stderr.write(text)
  await requireConsent(io, false, 'Go on?', json ? '' : text)
  return new Set(proposals.map(({ machine }) => machine))
}
