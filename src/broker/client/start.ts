import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { codeOf } from '../../errors.ts'
import { BrokerUnavailable, checkFolder, findBroker } from './find.ts'
import type { FindProcess } from '../server/pid-file.ts'
import { trace } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'
import { poll } from '../../os/retry.ts'

/** How to find and start the broker of this user. */
export interface BrokerLocation {
  /** See {@link brokerFolder}. */
  readonly folder: string
  /** The path of the built program, which also runs as the broker. */
  readonly program: string
  /** Identifies the build of the program: a broker of another build is replaced. */
  readonly build: string
  readonly env: Environment
  /** Reads the activity of a process, to recognize a broker that hangs. */
  readonly findProcess: FindProcess
}

/** How long a broker may take to start, in milliseconds. */
const startTimeoutMs = 10_000
const pollMs = 5

/** Acquires the right to start the broker. Returns false if another process has it. */
async function acquireStartLock(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const since = await stat(lock).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    )
    if (Date.now() - since > startTimeoutMs) await rm(lock, { force: true }) // the process that created it has died
    return false
  }
}

/**
 * The environment variables that the broker gets from the command that starts it. The broker serves other terminals
 * too, so it must not get other variables, such as a provider's secrets. Each request includes the variables of its
 * login.
 */
const inheritedVariables =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LC_\w+|FLEET_HOME|XDG_(?:DATA|CACHE|CONFIG|STATE)_HOME|XDG_RUNTIME_DIR)$/

const brokerEnvironment = (env: BrokerLocation['env']): BrokerLocation['env'] =>
  Object.fromEntries(Object.entries(env).filter(([name]) => inheritedVariables.test(name)))

/** Starts the program as a detached broker, which writes its errors to `broker.log`. */
function spawnBroker({ folder, program, env }: BrokerLocation): { hasEnded: () => boolean } {
  const log = openSync(join(folder, 'broker.log'), 'w', 0o600)
  const child = spawn(process.execPath, [program, '__broker'], {
    cwd: '/',
    detached: true,
    env: brokerEnvironment(env),
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  child.unref()
  let hasEnded = false
  child.once('exit', () => (hasEnded = true)).once('error', () => (hasEnded = true))
  return { hasEnded: () => hasEnded }
}

const doesNotStart = (): never => {
  throw new BrokerUnavailable("fleet's background process (the broker) did not start")
}

/** Waits until the broker, which this process or another one starts, is listening, and connects to it. */
async function waitForBroker(location: BrokerLocation): Promise<Socket> {
  const { folder } = location
  const lock = join(folder, 'starting')
  let started: ReturnType<typeof spawnBroker> | undefined
  let hasLock = false
  const check = async (): Promise<Socket | undefined> => {
    hasLock ||= await acquireStartLock(lock)
    const connected = await findBroker(folder) // after locking, as another process may have started it
    if (connected !== undefined) return connected
    if (started?.hasEnded()) doesNotStart()
    if (!hasLock || started !== undefined) return undefined
    trace('broker', 'start the broker')
    started = spawnBroker(location)
    return undefined
  }
  try {
    return await poll(check, { pauseMs: pollMs, withinMs: startTimeoutMs, otherwise: doesNotStart })
  } finally {
    if (hasLock) await rm(lock, { force: true })
  }
}

/**
 * Starts the broker, unless another command is already starting it, and connects to it. Rejects with {@link
 * BrokerUnavailable}.
 */
export async function launchBroker(location: BrokerLocation): Promise<Socket> {
  try {
    await mkdir(location.folder, { recursive: true, mode: 0o700 })
    checkFolder(location.folder)
    return await waitForBroker(location)
  } catch (error) {
    if (error instanceof BrokerUnavailable) throw error
    throw new BrokerUnavailable("fleet's background process (the broker) cannot be started", {
      cause: error,
    })
  }
}
