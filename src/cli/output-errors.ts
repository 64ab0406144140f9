import type { Writable } from 'node:stream'
import { exitCodes, fileProblemOf } from '../errors.ts'
import { failureCodeFor, typedWords } from './argv.ts'

/** Returns `node:fs` without `require`: `fleet --version` loads no module. */
const fs = () => process.getBuiltinModule('node:fs')

/**
 * Exits because an output failed: with code 0 if the reader of standard output is gone, as in `fleet ps | head`; otherwise
 * with an error, because output was lost.
 */
function exitOnError(name: 'stdout' | 'stderr', error: NodeJS.ErrnoException): never {
  const isUnread = error.code === 'EPIPE' && name === 'stdout'
  if (name === 'stdout' && !isUnread) {
    try {
      fs().writeSync(2, `fleet: cannot write to standard output: ${fileProblemOf(error)}\n`)
    } catch {
      // Standard error cannot be written to either.
    }
  }
  const code = isUnread ? exitCodes.ok : failureCodeFor(typedWords(process.argv.slice(2)))
  process.exit(code) // oxlint-disable-line unicorn/no-process-exit -- called from events of the output
}

/** A standard stream of Node.js. */
type StandardStream = Writable & { readonly fd: number }

/** Whether an output is a file. */
function isFile({ fd }: StandardStream): boolean {
  try {
    return fs().fstatSync(fd).isFile()
  } catch {
    return false // it is closed
  }
}

/** Makes a stream write complete chunks. Node.js writes a chunk only once, and a nearly full disk accepts only a part. */
function writeCompletely(stream: StandardStream): void {
  // oxlint-disable-next-line no-underscore-dangle -- the method that a Writable implements
  stream._write = (chunk: Buffer, _encoding, done) => {
    try {
      let written = 0
      while (written < chunk.length) written += fs().writeSync(stream.fd, chunk, written)
      done()
    } catch (error) {
      done(error as Error)
    }
  }
}

/** Opens an output of this process. If writing to it fails, the process exits. */
export function exitOnWriteErrors(name: 'stdout' | 'stderr'): NodeJS.WriteStream {
  const stream = process[name]
  if (isFile(stream)) writeCompletely(stream)
  return stream.on('error', (error) => exitOnError(name, error))
}

/** Calls `done` once everything has been written to an output. Exits if writing fails. */
export function flushOutput(name: 'stdout' | 'stderr', done: () => void): void {
  const stream = process[name]
  if (stream.errored !== null) exitOnError(name, stream.errored)
  if (stream.writableLength === 0) return done()
  stream.write('', (error) => {
    if (error) exitOnError(name, stream.errored ?? error)
    done()
  })
}
