import { connect } from 'node:net'
import { isPrivate, brokerSocket } from '../runtime-dir.ts'
import {
  type ServerMessage,
  type HostedCommand,
  type DisconnectInfo,
  protocolVersion,
} from '../protocol.ts'
import { trace, traceRequest } from '../../os/trace.ts'
import { Wire } from '../frames.ts'

/** How long the broker may take to accept a command, in milliseconds. Using a slower broker would not save any time. */
const acceptTimeoutMs = 2_000

/** A fleet command line that runs in the broker. */
export interface AcceptedRun {
  /** Paused until a listener is set. */
  readonly wire: Wire
  /** The exit code of this process and the message that it prints if the broker stops. */
  readonly disconnectInfo: DisconnectInfo
}

/**
 * Asks the broker whose socket is in `folder` to run a fleet command line. Resolves to undefined, with nothing printed
 * or done, if the broker is not running, belongs to another build, or declines the command. In these cases, this
 * process runs the command itself.
 */
export function requestRun(
  folder: string,
  build: string,
  command: HostedCommand,
): Promise<AcceptedRun | undefined> {
  return new Promise((resolve) => {
    try {
      if (!isPrivate(folder)) return resolve(undefined)
    } catch {
      trace('broker', 'no broker is running; running the command in this process')
      return resolve(undefined)
    }
    const wire = new Wire(connect(brokerSocket(folder)))
    const leave = () => {
      clearTimeout(timer)
      trace('broker', 'the broker does not run this command; running it in this process')
      resolve(undefined)
      wire.destroy()
    }
    const timer = setTimeout(leave, acceptTimeoutMs)
    wire.listen({
      message(answer: ServerMessage) {
        if ('accepted' in answer) return clearTimeout(timer)
        if (!('opened' in answer)) return leave()
        wire.pause()
        resolve({ wire, disconnectInfo: answer.opened as DisconnectInfo })
      },
      closed: leave,
    })
    const request = { ...command, open: 'command', protocol: protocolVersion, build }
    wire.send({ ...request, trace: traceRequest() })
  })
}
