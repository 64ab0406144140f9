import { connect } from 'node:net'
import { isPrivate, socketIn } from '../runtime-dir.ts'
import {
  type ServerMessage,
  type HostedCommand,
  type DisconnectInfo,
  protocolVersion,
} from '../protocol.ts'
import { trace, traceRequest } from '../../os/trace.ts'
import { Wire } from '../wire.ts'

/** How long the broker may take to say that it has heard: one so busy is no help. */
const hearingMs = 2_000

/** A command of fleet's own that the broker runs. */
export interface AskedFor {
  /** Paused: what the command says comes once somebody listens. */
  readonly wire: Wire
  /** How to end where the broker does. */
  readonly loss: DisconnectInfo
}

/**
 * Asks the broker of `folder` to run a command of fleet's own. Undefined, with nothing said or done, where it does not
 * run, is of another build, or leaves the command to the process that asks, which then finds out why by itself.
 */
export function askToRun(
  folder: string,
  build: string,
  command: HostedCommand,
): Promise<AskedFor | undefined> {
  return new Promise((resolve) => {
    try {
      if (!isPrivate(folder)) return resolve(undefined)
    } catch {
      trace('broker', 'no broker is running: this process runs the command')
      return resolve(undefined)
    }
    const wire = new Wire(connect(socketIn(folder)))
    const leave = () => {
      clearTimeout(timer)
      trace('broker', 'the broker leaves the command to this process')
      resolve(undefined)
      wire.destroy()
    }
    const timer = setTimeout(leave, hearingMs)
    wire.listen({
      message(answer: ServerMessage) {
        if ('accepted' in answer) return clearTimeout(timer)
        if (!('opened' in answer)) return leave()
        wire.pause()
        resolve({ wire, loss: answer.opened as DisconnectInfo })
      },
      closed: leave,
    })
    const request = { ...command, open: 'command', protocol: protocolVersion, build }
    wire.send({ ...request, trace: traceRequest() })
  })
}
