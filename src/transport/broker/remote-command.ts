import { Readable, Writable } from 'node:stream'
import { outputDelivered } from '../output.ts'
import type { ExitStatus, RunningCommand } from '../transport.ts'
import { type Answer, type Want, inputWindow, unpackError } from './protocol.ts'
import type { Wire } from './wire.ts'

/** Bytes that wait for a slow reader: less stalls bulk transfers. */
const bufferSize = 1 << 20

/** A program's input. A piece counts as written when the broker has room for the next one. */
function inputOver(wire: Wire): { stdin: Writable; taken: (count: number) => void } {
  let underWay = 0
  let waiting: (() => void) | undefined
  const goOn = () => {
    const done = waiting
    waiting = undefined
    done?.()
  }
  const stdin = new Writable({
    highWaterMark: bufferSize,
    write(chunk: Buffer, _encoding, done) {
      underWay += chunk.length
      wire.bytes(chunk)
      if (underWay <= inputWindow) done()
      else waiting = done
    },
    final(done) {
      wire.end()
      done()
    },
    destroy(error, done) {
      goOn()
      done(error)
    },
  })
  return {
    stdin,
    taken(count) {
      underWay -= count
      if (underWay <= inputWindow) goOn()
    },
  }
}

/** A program's outputs, which share the connection: it waits while one of them is full that is still wanted. */
function outputsOver(wire: Wire) {
  const full = new Set<Readable>()
  const readOn = (output: Readable) => {
    if (full.delete(output) && full.size === 0) wire.resume()
  }
  const open = () => {
    const output: Readable = new Readable({
      highWaterMark: bufferSize,
      read: () => readOn(output),
      destroy(error, done) {
        readOn(output)
        done(error)
      },
    })
    return output
  }
  const pass = (output: Readable) => (chunk: Buffer) => {
    if (output.destroyed || output.push(chunk)) return
    full.add(output)
    wire.pause()
  }
  const [stdout, stderr] = [open(), open()]
  return { stdout, stderr, bytes: pass(stdout), errors: pass(stderr) }
}

/** A command that the broker has started, as one that runs over a connection of one's own. */
export function joinCommand(
  wire: Wire,
  signal: AbortSignal | undefined,
  broken: () => Error,
  wanted?: (want: Want) => void,
): RunningCommand {
  const { stdin, taken } = inputOver(wire)
  const { stdout, stderr, bytes, errors } = outputsOver(wire)

  const exit = new Promise<ExitStatus>((resolve, reject) => {
    let isOver = false
    const finish = () => {
      isOver = true
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
      message(answer: Answer) {
        if ('taken' in answer) taken(answer.taken)
        else if ('want' in answer) wanted?.(answer.want)
        else if ('exit' in answer) void succeed(answer.exit)
        else if ('error' in answer) void fail(unpackError(answer.error))
      },
      closed() {
        if (!isOver) void fail(broken())
      },
    })
    if (signal?.aborted) abort()
  })
  exit.catch(() => {}) // a caller may be busy with the output, or have no interest
  return {
    stdin,
    stdout,
    stderr,
    exit,
    resize: (size) => wire.send({ resize: size }),
    kill: (name) => wire.send({ kill: name }),
  }
}
