import { Readable } from 'node:stream'
import { outputDelivered } from '../../transport/command.ts'
import type { ExitStatus, RunningCommand } from '../../transport/transport.ts'
import { bufferSize, openRemoteInput } from './forward-input.ts'
import type { ServerMessage } from '../protocol.ts'
import { deserializeError } from '../serialize-error.ts'
import type { Wire } from '../frames.ts'

/**
 * Creates the output streams of a remote program. They share one connection, which is paused while one of them is full.
 * A destroyed stream never counts as full.
 */
function openRemoteOutputs(wire: Wire) {
  const full = new Set<Readable>()
  const resume = (output: Readable) => {
    if (full.delete(output) && full.size === 0) wire.resume()
  }
  const open = () => {
    const output: Readable = new Readable({
      highWaterMark: bufferSize,
      read: () => resume(output),
      destroy(error, done) {
        resume(output)
        done(error)
      },
    })
    return output
  }
  const push = (output: Readable) => (chunk: Buffer) => {
    if (output.destroyed || output.push(chunk)) return
    full.add(output)
    wire.pause()
  }
  const [stdout, stderr] = [open(), open()]
  return { stdout, stderr, bytes: push(stdout), errors: push(stderr) }
}

/** Wraps a command that runs in the broker so that it behaves like one that runs over a direct connection. */
export function joinCommand(
  wire: Wire,
  signal: AbortSignal | undefined,
  broken: () => Error,
): RunningCommand {
  const { stdin, taken } = openRemoteInput(wire)
  const { stdout, stderr, bytes, errors } = openRemoteOutputs(wire)

  const exit = new Promise<ExitStatus>((resolve, reject) => {
    let hasEnded = false
    const finish = () => {
      hasEnded = true
      signal?.removeEventListener('abort', abort)
      stdin.destroy()
      wire.destroy()
    }
    const abort = () => {
      finish()
      stdout.destroy()
      stderr.destroy()
      reject(signal?.reason as Error)
    }
    const end = async () => {
      finish()
      stdout.push(null)
      stderr.push(null)
      await Promise.all([outputDelivered(stdout), outputDelivered(stderr)])
    }
    const fail = async (error: Error) => {
      await end()
      reject(error)
    }
    const succeed = async (status: ExitStatus) => {
      await end()
      resolve(status)
    }
    signal?.addEventListener('abort', abort, { once: true })
    wire.listen({
      bytes,
      errors,
      message(answer: ServerMessage) {
        if ('taken' in answer) taken(answer.taken)
        else if ('exit' in answer) void succeed(answer.exit)
        else if ('error' in answer) void fail(deserializeError(answer.error))
      },
      drained() {
        if (!hasEnded) void fail(broken())
      },
    })
    if (signal?.aborted) abort()
  })
  exit.catch(() => {}) // a caller may not be interested in the exit status
  return {
    stdin,
    stdout,
    stderr,
    exit,
    resize: (size) => wire.send({ resize: size }),
    kill: (name) => wire.send({ kill: name }),
  }
}
