import { quoteForHost } from '../../../os/shell-quote.ts'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { UserError } from '../../../errors.ts'
import { ignored } from '../../../os/trace.ts'
import { startProgram } from '../../../transport/start-program.ts'
import { type Host, commandOn } from '../../copy/remote-tar.ts'

/** The holder of a stack's lock on a host. */
export interface LockOwner {
  /** The user and computer: `ana@laptop`. */
  readonly by: string
  /** The time at which the work started, in ISO 8601 format. */
  readonly at: string
  /** The user's action: `deploy shop`. */
  readonly why: string
}

/** A lock that is held. Disposing of it releases it. */
export interface StackLock extends AsyncDisposable {
  /** Aborts when the command's signal aborts or the lock is lost, usually because the connection was lost. */
  readonly signal: AbortSignal
}

/** The pause between heartbeats from this computer to the process on the host that holds the lock, in milliseconds. */
const heartbeatMs = 20_000
/**
 * How long that process waits for a heartbeat, in seconds. After that, a computer that has lost its network loses the
 * lock.
 */
const silenceSeconds = 90

/**
 * Holds a kernel lock (flock) while its input is open and heartbeats arrive, so that no lock outlives its owner. The
 * first line of the output is `held`, or `taken` followed by the owner of the lock. Child processes do not inherit the
 * lock. The script also removes temporary files left over from owners that were killed.
 */
const hold = `
folder=$1 silence=$2
umask 077
mkdir -p -- "$folder" && cd -- "$folder" || exit
exec 9>>lock || exit
IFS= read -r owner
if ! flock -n 9; then
  echo taken
  cat lock.json 2>/dev/null
  exit
fi
printf '%s\\n' "$owner" >.lock.json && mv -f .lock.json lock.json || exit
rm -rf .incoming-* releases/.[0-9]* objects/.[0-9a-f]*
echo held
while [ -n "$(timeout "$silence" head -c 1 9>&-)" ]; do :; done
rm -f lock.json
`

const maxTextLength = 200

/** Parses the owner of a lock; undefined if it is invalid, because a host can write anything there. */
function parseOwner(text: string): LockOwner | undefined {
  try {
    const { by, at, why } = JSON.parse(text) as Partial<Record<keyof LockOwner, unknown>>
    const texts = [by, at, why].map((value) =>
      typeof value === 'string' ? value.slice(0, maxTextLength) : '',
    )
    const [who = '', when = '', what = ''] = texts
    return who === '' ? undefined : { by: who, at: when, why: what }
  } catch {
    return undefined
  }
}

/** Returns the error for a lock that is held. `canWait`: whether the command has the option --wait-lock. */
const heldError = (machine: string, stack: string, text: string, canWait: boolean): UserError => {
  const owner = parseOwner(text)
  const who =
    owner === undefined
      ? 'another user is changing the stack'
      : `${owner.by} has been changing it since ${owner.at} (${owner.why})`
  return new UserError('locked', `stack ${stack} is locked: ${who}`, {
    machine,
    hint: canWait
      ? 'wait until the stack is unlocked, or pass --wait-lock SECONDS'
      : 'wait until the stack is unlocked, then run the command again',
  })
}

/** Options of {@link lockStack}. */
interface LockOptions {
  readonly stack: string
  /** The stack's directory on the host. */
  readonly folder: string
  readonly owner: LockOwner
  /** Ends the wait for the lock when it aborts, but does not release a lock that is already held. */
  readonly signal?: AbortSignal
  /**
   * How long to wait for another owner to release the lock, in milliseconds; absent if the command has no option
   * --wait-lock.
   */
  readonly waitMs?: number | undefined
  /** Called when another owner holds the lock, before waiting. */
  readonly onWait?: (reason: string) => void
}

/** The pause between attempts to acquire a lock that another owner holds, in milliseconds. */
const retryMs = 1000

/**
 * Locks a stack on a host. Throws kind `locked` with the owner if another user holds the lock. The host releases the
 * lock when the connection ends for any reason.
 */
export async function lockStack(
  host: Host,
  { onWait = () => {}, ...options }: LockOptions,
): Promise<StackLock> {
  const end = performance.now() + (options.waitMs ?? 0)
  for (;;) {
    try {
      return await tryLock(host, options)
    } catch (error) {
      const isHeld = error instanceof UserError && error.kind === 'locked'
      if (!isHeld || performance.now() >= end) throw error
      onWait(error.message)
    }
    await setTimeout(retryMs, undefined, options.signal && { signal: options.signal })
  }
}

async function tryLock(
  host: Host,
  { stack, folder, owner, signal, waitMs }: LockOptions,
): Promise<StackLock> {
  const { name: machine, transport, become = [] } = host
  const words = [...become, 'sh', '-c', hold, 'fleet', folder, String(silenceSeconds)]
  signal?.throwIfAborted()
  // The signal is not passed on, because an interrupted command must keep the lock while it undoes its changes.
  const running = await startProgram(transport, words)
  const { stdin, stdout, stderr, exit } = running
  for (const stream of [stdin, stdout, stderr]) {
    stream.on('error', ignored('ssh', 'hold the lock on a stack')) // reported by `exit`
  }
  stdin.write(`${JSON.stringify(owner)}\n`)
  const errors: Buffer[] = []
  stderr.on('data', (chunk: Buffer) => errors.push(chunk))
  const lines: string[] = []
  const first = new Promise<string | undefined>((resolve) => {
    const reader = createInterface({ input: stdout })
    reader.on('line', (line) => {
      lines.push(line)
      if (line === 'held') resolve(line)
    })
    reader.on('close', () => resolve(lines[0]))
  })
  const state = await Promise.race([first, exit.then(() => first)])
  if (state !== 'held') {
    stdin.end()
    if (state === 'taken') {
      throw heldError(machine, stack, lines.slice(1).join(''), waitMs !== undefined)
    }
    const why = Buffer.concat(errors).toString().trim() || 'no reason given'
    throw new UserError('failed', `cannot lock stack ${stack} on ${machine}: ${why}`, {
      machine,
      hint: `check the directory: ${commandOn(host, `ls -ld ${quoteForHost(folder)}`)}`,
    })
  }
  const beat = setInterval(() => stdin.write('.'), heartbeatMs)
  let isReleased = false
  const lost = new AbortController()
  const end = (cause?: unknown): void => {
    clearInterval(beat)
    if (isReleased) return
    const message = `the lock on stack ${stack} on ${machine} was lost`
    const hint = 'check the connection, then try again'
    lost.abort(new UserError('unreachable', message, { machine, hint, cause }))
  }
  exit.then(() => end(), end)
  return {
    signal: signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]),
    async [Symbol.asyncDispose]() {
      isReleased = true
      clearInterval(beat)
      stdin.end()
      await exit.catch(ignored('ssh', 'release the lock on a stack'))
    },
  }
}
