import { createHash } from 'node:crypto'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/**
 * The maximum length of a machine name in the file name of a socket: paths of Unix sockets are limited to about 100
 * bytes.
 */
const longestName = 20

/**
 * The file name of the socket that forwards to a machine's engine. It is stable, but differs between machines with the
 * same name in different inventories, and between logins with different SSH agents.
 */
export async function nameEngineSocket(context: Context, { name }: Machine): Promise<string> {
  const { location } = await context.inventory()
  const identity = JSON.stringify([location, name, context.env['SSH_AUTH_SOCK']])
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8)
  return `${name.slice(0, longestName)}-${hash}.sock`
}
