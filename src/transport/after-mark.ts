import { randomUUID } from 'node:crypto'
import { type Readable, Transform, pipeline } from 'node:stream'
import { UserError } from '../errors.ts'

/** What a login shell may print before the program begins. */
const greetingLimit = 1 << 20

/** A mark that no login shell prints. A shell script is given it as `$0`. */
export const newMark = (): string => `fleet-${randomUUID()}`

/** Has a shell script print its mark: what follows is the program's, and what came before is the login shell's. */
export const printMark = `printf '%s\\n' "$0"`

/** An output without what came before the mark in it. Fails where the login shell prints without an end. */
export class AfterMark extends Transform {
  readonly #mark: Buffer
  #before: Buffer | undefined = Buffer.alloc(0)
  #greeting = ''

  constructor(mark: string) {
    super({ readableHighWaterMark: 1 << 20 })
    this.#mark = Buffer.from(`${mark}\n`)
  }

  /** What came before the mark: all, where the mark did not come. */
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
    if (at === -1) return done(this.#before.length > greetingLimit ? endless() : undefined)
    const rest = this.#before.subarray(at + this.#mark.length)
    this.#greeting = this.#before.toString('utf8', 0, at)
    this.#before = undefined
    return rest.length === 0 ? done() : done(undefined, rest)
  }
}

const endless = (): UserError =>
  new UserError('failed', 'the login shell prints too much output before the command starts', {
    hint: 'check the startup files of the shell on the host, such as ~/.bashrc: they must not print anything in a non-interactive shell',
  })

/** The part of an output that comes after the mark. Nothing where there is none: the program was not begun. */
export function afterMark(output: Readable, mark: string): AfterMark {
  const rest = new AfterMark(mark)
  rest.on('error', () => {}) // whoever reads is told of it; nobody need read
  pipeline(output, rest, () => {})
  return rest
}
