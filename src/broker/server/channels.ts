import type { Duplex, Readable } from 'node:stream'
import type { RunningCommand } from '../../transport/transport.ts'
import type { HostedRun, ClientMessage } from '../protocol.ts'
import { serializeError } from '../serialize-error.ts'
import type { Wire } from '../frames.ts'

/** Forwards a stream, and pauses it while the receiver is slow. */
function passOn(stream: Readable, wire: Wire, send: (chunk: Buffer) => boolean): void {
  stream.on('data', (chunk: Buffer) => {
    if (send(chunk)) return
    stream.pause()
    wire.onceDrained(() => stream.resume())
  })
}

/** Connects a stream from a host to the client until either side closes. */
export function serveConnection(wire: Wire, connection: Duplex): Promise<void> {
  wire.send({ opened: true })
  connection.allowHalfOpen = true // the client ends its side itself
  passOn(connection, wire, (chunk) => wire.bytes(chunk))
  return new Promise((resolve) => {
    let failure: unknown
    connection
      .on('end', () => wire.end())
      .on('error', (error) => (failure = error))
      .once('close', () => {
        if (failure !== undefined) wire.send({ error: serializeError(failure) })
        wire.close()
        resolve()
      })
    wire.listen({
      bytes(chunk) {
        if (connection.write(chunk)) return
        wire.pause()
        connection.once('drain', () => wire.resume())
      },
      end: () => connection.end(),
      closed: () => connection.destroy(),
    })
  })
}

/** Connects a fleet command line that runs in the broker to the client process until the command ends. */
export function serveHosted(wire: Wire, running: HostedRun): Promise<void> {
  const served = serveCommand(wire, running, () => running.abandon(), running.disconnectInfo)
  running.onStdinRequest((want) => wire.send({ want }))
  return served
}

/** Connects a command on a host to the client until the command ends. */
export async function serveCommand(
  wire: Wire,
  running: RunningCommand,
  abandon: () => void,
  opened: unknown = true,
): Promise<void> {
  const { stdin, stdout, stderr } = running
  wire.send({ opened })
  passOn(stdout, wire, (chunk) => wire.bytes(chunk))
  passOn(stderr, wire, (chunk) => wire.errors(chunk))
  stdin.on('error', () => {}) // the command may end without reading its input
  wire.listen({
    // Always read, so that signals are not delayed; acknowledgements limit how much is buffered.
    bytes: (chunk) => stdin.write(chunk, () => wire.send({ taken: chunk.length })),
    end: () => stdin.end(),
    message(word: ClientMessage) {
      if ('kill' in word) running.kill(word.kill)
      else if ('resize' in word) running.resize(word.resize)
    },
    closed: abandon,
  })
  try {
    wire.send({ exit: await running.exit })
  } catch (error) {
    wire.send({ error: serializeError(error) })
  }
  wire.close()
}
