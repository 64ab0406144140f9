import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { UserError } from '../../errors.ts'
import type { Call } from '../driver.ts'
import { type Program, findVBoxManage } from './find-vboxmanage.ts'
import type { Environment } from '../../os/environment.ts'
import { retry } from '../../os/retry.ts'

/** VBoxManage, the command-line program of VirtualBox. */
export interface VBoxManage {
  /** Finds the program. Throws kind `unsupported` if VirtualBox is not installed, or is too old. */
  program(): Promise<Program>
  /**
   * Runs a command and returns its output. Throws a {@link VBoxError} if it fails and retries do
   * not help.
   */
  run(words: readonly string[], call: Pick<Call, 'signal'>): Promise<string>
}

/** A failed VBoxManage command. */
export class VBoxError extends Error {
  override readonly name = 'VBoxError'
  /** VirtualBox's error code, such as `VBOX_E_OBJECT_NOT_FOUND`; empty if there is none. */
  readonly code: string

  constructor(words: readonly string[], stderr: string) {
    const messages = stderr
      .split('\n')
      .flatMap((line) => /^VBoxManage(?:\.exe)?: error: (.*)$/.exec(line.trim())?.[1] ?? [])
      .filter((line) => !/^(?:Details|Context): /.test(line))
    const what =
      messages.join(' ') ||
      stderr.trim().split('\n').at(-1) ||
      'the command failed without an error message'
    super(`VBoxManage ${words.slice(0, 1).join(' ')}: ${what}`)
    this.code = /code (\w+) \(0x/.exec(stderr)?.[1] ?? ''
    this.isTransient =
      transientErrors.test(stderr) ||
      (readOnlyCommands.test(words[0] ?? '') && !notFoundErrors.test(stderr))
  }

  /** Whether the same command may succeed if it is repeated. */
  readonly isTransient: boolean
}

/**
 * Pattern for the messages of errors that occur while another process is using the same object, or while the VirtualBox
 * service is starting or exiting. Attaching a drive fails if a VBoxManage process whose parent was killed is attaching
 * the same drive: the two processes share a session, and the first one to exit undoes the other's changes.
 */
const transientErrors =
  /object is not ready|E_ACCESSDENIED|while it is locked|is already locked|locked for a session|session is (?:not|already) |Failed to create the VirtualBox object|CO_E_SERVER_EXEC_FAILURE|NS_ERROR_(?:ABORT|CALL_FAILED|FACTORY_NOT_REGISTERED)|extended info not available|lock request pending|RPC_E_|VERR_SHARING_VIOLATION|No drive attached to device slot/

/**
 * Pattern for commands that only read. While a machine starts or stops, VirtualBox answers them with various internal
 * errors or not at all, so they are retried unless the object does not exist.
 */
const readOnlyCommands = /^(?:list|showvminfo|getextradata)$/

const notFoundErrors =
  /VBOX_E_OBJECT_NOT_FOUND|Could not find|is not registered|VERR_FILE_NOT_FOUND|VERR_PATH_NOT_FOUND/

/** How long transient errors are retried, in milliseconds. */
const retryTimeout = 20_000

/** Whether the object does not exist. */
export const isMissing = (error: unknown): boolean =>
  error instanceof VBoxError &&
  (error.code === 'VBOX_E_OBJECT_NOT_FOUND' || notFoundErrors.test(error.message))

/** Returns `undefined` instead of throwing if the object does not exist. */
export const ignoreMissing = (answer: Promise<string>): Promise<string | undefined> =>
  answer.catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })

/**
 * How long VBoxManage may run without output, in milliseconds: longer operations print their
 * progress.
 */
const outputTimeout = 300_000

/** How long a running command may continue after an abort, in milliseconds. Most commands finish sooner. */
const abortGracePeriod = 3000

const noOutputError = ([verb = '']: readonly string[]): UserError =>
  new UserError(
    'failed',
    `VirtualBox did not respond: "VBoxManage ${verb}" printed no output for 5 minutes`,
    {
      hint: 'close VirtualBox, end the VBoxSVC process, and run the command again',
    },
  )

/**
 * Whether the output of a command is complete. While a machine starts or stops, `showvminfo` may
 * succeed without the machine's state.
 */
const isComplete = ([verb]: readonly string[], stdout: string): boolean =>
  verb !== 'showvminfo' || /^VMState="\w|^name="<inaccessible>"/m.test(stdout)

async function runOnce(
  path: string,
  words: readonly string[],
  env: Environment,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted()
  const child = spawn(path, words, {
    env: { ...env, LC_ALL: 'C', LANGUAGE: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  })
  const parts = { stdout: '', stderr: '' }
  let isSilent = false
  const silence = setTimeout(() => {
    isSilent = true
    child.kill('SIGKILL')
  }, outputTimeout)
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (part: string) => {
      parts[name] += part
      silence.refresh()
    })
  }
  let timer: NodeJS.Timeout | undefined
  const end = (): void => {
    timer = setTimeout(() => child.kill(), abortGracePeriod)
  }
  signal.addEventListener('abort', end)
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    if (code === 0 && isComplete(words, parts.stdout)) return parts.stdout
    signal.throwIfAborted()
    if (isSilent) throw noOutputError(words)
    throw new VBoxError(words, parts.stderr)
  } finally {
    clearTimeout(silence)
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

/** Opens VBoxManage for the environment variables `env`. The program is located on first use. */
export function openVBoxManage(env: Environment): VBoxManage {
  let found: Promise<Program> | undefined
  const program = (): Promise<Program> => {
    found ??= findVBoxManage(env)
    found.catch(() => (found = undefined))
    return found
  }
  return {
    program,
    async run(words, { signal }) {
      const { path } = await program()
      return retry(() => runOnce(path, words, env, signal), {
        canRetry: (error) => error instanceof VBoxError && error.isTransient,
        signal,
        pauseMs: 100,
        longestMs: 2000,
        withinMs: retryTimeout,
      })
    },
  }
}

/** Runs `work` and turns VBoxManage errors into errors for the user. */
export async function withExplainedErrors<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof VBoxError)) throw error
    throw new UserError('failed', error.message, { hint: hintFor(error.message), cause: error })
  }
}

/** Explains how to load one of VirtualBox's kernel drivers. */
const loadDriver = (module: string): string =>
  process.platform === 'linux'
    ? `sudo /sbin/vboxconfig, or sudo modprobe ${module} (with Secure Boot, only signed modules are loaded)`
    : 'reinstall VirtualBox, then restart this computer'

/** Returns a hint for an error message. */
function hintFor(message: string): string {
  if (/vboxnet(?:ctl|adp)/i.test(message)) {
    return `load VirtualBox's network driver: ${loadDriver('vboxnetadp')}; or omit --host-only`
  }
  if (/vboxdrv|kernel driver|VERR_SUP|VERR_VM_DRIVER/i.test(message)) {
    return `load VirtualBox's kernel driver: ${loadDriver('vboxdrv')}`
  }
  if (/VERR_(?:VMX|SVM)_|VT-x|AMD-V/.test(message)) {
    return "enable virtualization in this computer's firmware, and disable other hypervisors"
  }
  if (/VERR_(?:NO_MEMORY|NO_LOW_MEMORY|NO_PHYS_MEMORY)/.test(message)) {
    return 'not enough memory: reduce --memory, or stop other machines'
  }
  if (/VERR_DISK_FULL|No space left/i.test(message)) return 'free up disk space'
  return 'run the command again; if the error persists, check the machine in VirtualBox'
}
