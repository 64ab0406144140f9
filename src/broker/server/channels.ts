import type { Duplex, Readable } from 'node:stream'
import type { RunningCommand } from '../../transport/transport.ts'
import type { HostedRun, ClientMessage } from '../protocol.ts'
import { serializeError } from '../serialize-error.ts'
import type { Wire } from '../wire.ts'

/** Passes on what a stream says, no faster than it is taken. */
function passOn(stream: Readable, wire: Wire, send: (chunk: Buffer) => boolean): void {
  stream.on('data', (chunk: Buffer) => {
    if (send(chunk)) return
    stream.pause()
    wire.onceRoomy(() => stream.resume())
  })
}

/** Joins a connection of a host's with the command that asked for it, until either closes. */
export function serveConnection(wire: Wire, connection: Duplex): Promise<void> {
  wire.send({ opened: true })
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

/** Joins a command that the broker runs itself with the process that asked for it, until it ends. */
export function serveHosted(wire: Wire, running: HostedRun): Promise<void> {
  const served = serveCommand(wire, running, () => running.abandon(), running.loss)
  running.onWant((want) => wire.send({ want }))
  return served
}

/** Joins a command on a host with the one here that started it, until it ends. */
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
  stdin.on('error', () => {}) // it may end without reading its input
  wire.listen({
    // Always taken, or signals would wait behind it: the other side knows how much may be under way.
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
