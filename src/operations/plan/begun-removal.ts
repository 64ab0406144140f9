import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/**
 * Whether this user started the recorded removal or replacement of a machine on this computer: only then it continues without
 * another confirmation. The record alone is not sufficient, since everybody who can write the inventory can write it.
 */
export async function isRemovalBegunHere(
  context: Context,
  { name, host }: Pick<Machine, 'name' | 'host'>,
): Promise<boolean> {
  if (host?.phase !== 'removing' || host.token === undefined) return false
  const { id: fleet } = await (await context.inventory()).read()
  return context.removals().hasBegun({ fleet, machine: name, token: host.token })
}
