import type { Machine } from '../../machine/machine.ts'
import type { Plan } from '../../provision/engine/plan-engine.ts'
import type { Io } from '../../ui/io.ts'
import { requireConsent } from '../options/confirmation.ts'
import type { Proposal } from '../multi/confirm-and-run.ts'

/** Describes the changes on a host, as a JSON object or as text. */
function describePlan(name: string, plan: Plan, json: boolean): string {
  const changes = plan.map(({ description }) => description)
  if (json) return `${JSON.stringify({ event: 'plan', machine: name, changes })}\n`
  return `On ${name}, fleet will:\n${changes.map((change) => `  - ${change}\n`).join('')}`
}

/** Shows what will change on a host, and asks for confirmation. */
export async function approvePlan(
  io: Io,
  { name, plan, yes, json }: { name: string; plan: Plan; yes: boolean; json: boolean },
): Promise<true> {
  const text = describePlan(name, plan, json)
  if (json) io.stderr.write(text)
  await requireConsent(io, yes, 'Continue?', json ? '' : text)
  return true
}

/** Shows what will change on several hosts, and asks once for confirmation of all the changes. */
export async function approvePlans(
  io: Io,
  proposals: readonly Proposal<Plan>[],
  { json }: { readonly json: boolean },
): Promise<ReadonlySet<Machine>> {
  const text = proposals.map(({ machine, plan }) => describePlan(machine.name, plan, json)).join('')
  if (json) io.stderr.write(text)
  await requireConsent(io, false, 'Continue?', json ? '' : text)
  return new Set(proposals.map(({ machine }) => machine))
}
