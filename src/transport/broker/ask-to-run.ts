import type { RunningCommand } from '../transport.ts'
import { findBroker } from './find.ts'
import { awaitOpened, introduce } from './open.ts'
import { type HostedCommand, protocolVersion } from './protocol.ts'
import { joinCommand } from './remote-command.ts'

/**
 * Asks the broker of `folder` to run a command of fleet's own. Undefined, with nothing said or done, where it does not
 * run, is of another build, or leaves the command to the process that asks.
 */
export async function askToRun(
  folder: string,
  build: string,
  command: HostedCommand,
): Promise<RunningCommand | undefined> {
  try {
    const socket = await findBroker(folder)
    const opening = { ...command, open: 'command', protocol: protocolVersion, build } as const
    const wire = socket && (await introduce(socket, opening))
    if (wire === undefined) return undefined
    await awaitOpened(wire, {})
    return joinCommand(wire, undefined, () => new Error('the broker ended'))
  } catch {
    return undefined // whatever it is: the process finds out by itself
  }
}
