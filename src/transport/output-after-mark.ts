import { randomUUID } from 'node:crypto'
import { type Readable, Transform, pipeline } from 'node:stream'
import { UserError } from '../errors.ts'

/** How much a login shell may print before the program starts, in bytes. */
const maxGreetingBytes = 1 << 20

/** Returns a random mark that no login shell prints. Shell scripts receive it as `$0`. */
export const newMark = (): string => `fleet-${randomUUID()}`

/**
 * A shell command that prints the mark. Output before the mark comes from the login shell, output after it from the
 * program.
 */
export const printMark = `printf '%s\\n' "$0"`

/** Removes the output of the login shell before the mark. Fails if that output is too long. */
export class AfterMark extends Transform {
  readonly #mark: Buffer
  #before: Buffer | undefined = Buffer.alloc(0)
  #greeting = ''

  constructor(mark: string) {
    super({ readableHighWaterMark: 1 << 20 })
    this.#mark = Buffer.from(`${mark}\n`)
  }

  /** The output before the mark; all output if there is no mark. */
  get greeting(): string {
    return this.#before?.toString() ?? this.#greeting
  }

  get isPastMark(): boolean {
    return this.#before === undefined
  }

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error, chunk?: Buffer) => void,
  ): void {
    if (this.#before === undefined) return done(undefined, chunk)
    this.#before = Buffer.concat([this.#before, chunk])
    const at = this.#before.indexOf(this.#mark)
    if (at === -1)
      return done(this.#before.length > maxGreetingBytes ? greetingTooLong() : undefined)
    const rest = this.#before.subarray(at + this.#mark.length)
    this.#greeting = this.#before.toString('utf8', 0, at)
    this.#before = undefined
    return rest.length === 0 ? done() : done(undefined, rest)
  }
}

const greetingTooLong = (): UserError =>
  new UserError('failed', 'the login shell printed too much output before the command started', {
    hint: 'check the shell startup files on the host, such as ~/.bashrc: they must not print anything in a non-interactive shell',
  })

/** Returns the output after the mark. It is empty if there is no mark; in that case, the program did not start. */
export function afterMark(output: Readable, mark: string): AfterMark {
  const rest = new AfterMark(mark)
  rest.on('error', () => {}) // reported to the reader, if there is one
  pipeline(output, rest, () => {})
  return rest
}
