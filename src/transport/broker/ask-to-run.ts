import type { RunningCommand } from '../transport.ts'
import { findBroker } from './find.ts'
import { awaitOpened, introduce } from './open.ts'
import { type HostedCommand, type Loss, type Want, protocolVersion } from './protocol.ts'
import { joinCommand } from './remote-command.ts'

/** A command that the broker runs for this process. */
interface Hosted {
  readonly running: RunningCommand
  /** How to end where the broker does, which `running.exit` rejects at. */
  readonly loss: Loss
}

const brokerEnded = () => new Error('the broker ended')

/**
 * Asks the broker of `folder` to run a command of fleet's own. Undefined, with nothing said or done, where it does not
 * run, is of another build, or leaves the command to the process that asks.
 */
export async function askToRun(
  folder: string,
  build: string,
  command: HostedCommand,
  wanted: (want: Want) => void,
): Promise<Hosted | undefined> {
  try {
    const socket = await findBroker(folder)
    const opening = { ...command, open: 'command', protocol: protocolVersion, build } as const
    const wire = socket && (await introduce(socket, opening))
    if (wire === undefined) return undefined
    const loss = (await awaitOpened(wire, {})) as Loss
    return { loss, running: joinCommand(wire, undefined, brokerEnded, wanted) }
  } catch {
    return undefined // whatever it is: the process finds out by itself
  }
}
