/** The exit codes of fleet. Commands such as `exec` exit with the remote command's exit code instead. */
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

/**
 * Exit code of commands that exit with docker's code, if fleet itself fails
 * (docs.docker.com/reference/cli/docker/container/run/#exit-status).
 */
export const dockerFailure = 125

/** Exit code of `fleet ssh`, if fleet itself fails (ssh(1), EXIT STATUS). */
export const sshFailure = 255

/** The category of an error, and `kind` in JSON output. `bug` wraps an unexpected error in fleet itself. */
export type ErrorKind = Exclude<keyof typeof exitCodes, 'ok'>

interface Details {
  /** The name of the machine that the error concerns. */
  machine?: string | undefined
  /** The next step for the user: a command or an action. */
  hint?: string | undefined
  cause?: unknown
}

/** Marks instances of every copy of this class: an external driver bundles its own copy. */
const brand = Symbol.for('fleet.UserError')

/** A failure that the user can act on. Everything else that is thrown is a bug in fleet. */
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

/** Returns the message of a thrown value. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)

/**
 * Returns the message of a thrown value, followed by its hint in parentheses, for messages that list several failures.
 */
export const messageWithHint = (thrown: unknown): string =>
  thrown instanceof UserError && thrown.hint !== undefined
    ? `${thrown.message} (${thrown.hint})`
    : messageOf(thrown)

/**
 * Returns the description in a file system error, without the error code, the system call and the path. For messages
 * that already name the file.
 */
export const fileProblemOf = (thrown: unknown): string =>
  messageOf(thrown).replace(/^E[A-Z0-9]+: (.+?), \w+(?: '.*')?$/s, '$1')

/** Returns the `code` of a Node.js system error, such as `ENOENT`; undefined for all other values. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined
}

/** Runs work on a machine, and adds the machine's name to any user error that does not name a machine. */
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
