/** Exit codes of every command that does not pass a remote one through. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  'unknown-machine': 3,
  inventory: 4,
  unreachable: 5,
  'host-key': 5,
  credentials: 6,
  locked: 7,
  unsupported: 8,
  bug: 70,
  cancelled: 130,
} as const

/** What kind of trouble an error tells of; the `kind` of `--json` errors. `bug`: one of fleet's own, which is the cause. */
export type ErrorKind = Exclude<keyof typeof exitCodes, 'ok'>

interface Details {
  /** The machine concerned. */
  machine?: string | undefined
  /** The next command or action for the person to take. */
  hint?: string | undefined
  cause?: unknown
}

/** Marks the errors of every copy of this class: a driver from outside brings its own. */
const brand = Symbol.for('fleet.UserError')

/** A failure that the person can act on. Anything else that is thrown is a bug in fleet. */
export class UserError extends Error {
  static override [Symbol.hasInstance]<Kind extends UserError>(
    this: abstract new (...args: never[]) => Kind,
    thrown: unknown,
  ): thrown is Kind {
    if (!(thrown instanceof Error && brand in thrown)) return false
    return (
      Object.is(this, UserError) ||
      Object.prototype.isPrototypeOf.call(this.prototype as object, thrown)
    )
  }

  override readonly name = 'UserError'
  readonly kind: ErrorKind
  readonly machine: string | undefined
  readonly hint: string | undefined

  constructor(kind: ErrorKind, message: string, details: Details = {}) {
    super(message, { cause: details.cause })
    this.kind = kind
    this.machine = details.machine
    this.hint = details.hint
  }

  get [brand](): true {
    return true
  }
}

/** The text of whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)

/** The text of whatever was thrown, and the next step in brackets, for messages that tell several failures in a line each. */
export const messageWithHint = (thrown: unknown): string =>
  thrown instanceof UserError && thrown.hint !== undefined
    ? `${thrown.message} (${thrown.hint})`
    : messageOf(thrown)

/** Why the system refused to read or write a file, for a message that names the file itself. */
export const fileTroubleOf = (thrown: unknown): string =>
  messageOf(thrown).replace(/^E[A-Z0-9]+: (.+?), \w+(?: '.*')?$/s, '$1')

/** The `code` of a Node.js system error (`ENOENT`), if it has one. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined
}

/** Does work on a machine; its errors, which need not know how the machine is called, name it. */
export async function naming<Result>(
  machine: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (
      !(error instanceof UserError) ||
      error.machine !== undefined ||
      error.kind === 'cancelled'
    ) {
      throw error
    }
    const { kind, message, hint } = error
    throw new UserError(kind, message, { machine, hint, cause: error })
  }
}
