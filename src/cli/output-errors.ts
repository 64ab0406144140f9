import { exitCodes } from '../errors.ts'

/** The reason in the message of a system error, such as `ENOSPC: no space left on device, write`. */
const reasonIn = ({ message }: Error): string => /^\w+: (.*), \w+$/.exec(message)?.[1] ?? message

/**
 * Exits because of an error of an output: with code 0 if its reader is gone, as in `fleet ps | head`; otherwise with an
 * error, because output was lost.
 */
function exitOnError(name: 'stdout' | 'stderr', error: NodeJS.ErrnoException): never {
  const isUnread = error.code === 'EPIPE'
  if (!isUnread && name === 'stdout') {
    try {
      const { writeSync } = process.getBuiltinModule('node:fs') // fleet --version loads no module
      writeSync(2, `fleet: cannot write to standard output: ${reasonIn(error)}\n`)
    } catch {
      // Standard error cannot be written to either.
    }
  }
  process.exit(isUnread ? exitCodes.ok : exitCodes.failed) // oxlint-disable-line unicorn/no-process-exit -- called from events of the output
}

/** Exits when writing to an output of this process fails. Opens the output. */
export function exitOnWriteErrors(name: 'stdout' | 'stderr'): NodeJS.WriteStream {
  return process[name].on('error', (error) => exitOnError(name, error))
}

/** Calls `done` once everything was written to an output. Exits if that failed. */
export function flushOutput(name: 'stdout' | 'stderr', done: () => void): void {
  const stream = process[name]
  if (stream.errored !== null) exitOnError(name, stream.errored)
  if (stream.writableLength === 0) return done()
  stream.write('', (error) => {
    if (error) exitOnError(name, stream.errored ?? error)
    done()
  })
}
