import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/**
 * Whether the removal or replacement that a machine's record speaks of was begun here, by this person: only then does it go on
 * without being asked about again. A record alone proves nothing, since whoever can write the inventory can write that.
 */
export async function isRemovalBegunHere(
  context: Context,
  { name, host }: Pick<Machine, 'name' | 'host'>,
): Promise<boolean> {
  if (host?.phase !== 'removing' || host.token === undefined) return false
  const { id: fleet } = await (await context.inventory()).read()
  return context.removals().hasBegun({ fleet, machine: name, token: host.token })
}
