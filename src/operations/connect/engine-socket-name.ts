import { createHash } from 'node:crypto'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/** Longer names would make the paths of sockets too long. */
const longestName = 20

/**
 * The file name of the socket that leads to a machine's engine: the same each time, and another one for a machine of
 * the same name in another inventory, and for whoever logs in with another agent.
 */
export async function nameEngineSocket(context: Context, { name }: Machine): Promise<string> {
  const { location } = await context.inventory()
  const identity = JSON.stringify([location, name, context.env['SSH_AUTH_SOCK']])
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8)
  return `${name.slice(0, longestName)}-${hash}.sock`
}
