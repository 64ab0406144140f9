import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from '../../errors.ts'
import { BrokerUnavailable, checkFolder, findBroker } from './find.ts'
import type { FindProcess } from '../server/pid-file.ts'
import { trace } from '../../os/trace.ts'

/** How the broker of this user is found and started. */
export interface BrokerPlace {
  /** Of {@link placeOfSockets}. */
  readonly folder: string
  /** The built program, which is the broker too. */
  readonly program: string
  /** Tells that program from every other build: a broker of another one is replaced. */
  readonly build: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Tells what a process is doing: a broker that hangs is killed. */
  readonly findProcess: FindProcess
}

/** How long a broker may take to start: a busy computer is slow. */
const patienceMs = 10_000
const pollMs = 5

/** Takes the right to start the broker. False: somebody else is about to. */
async function takeTurn(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const since = await stat(lock).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    )
    if (Date.now() - since > patienceMs) await rm(lock, { force: true }) // whoever it was has died
    return false
  }
}

/**
 * What the broker needs of the environment of the command that happens to start it: where home and sockets are, and how
 * Node.js works. It lives long and serves other terminals too, so that nothing else of this one, such as a provider's
 * secrets, gets into it; a command brings along what its own login needs.
 */
const kept =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LC_\w+|FLEET_HOME|XDG_(?:DATA|CACHE|CONFIG|STATE)_HOME|XDG_RUNTIME_DIR)$/

const brokerEnvironment = (env: BrokerPlace['env']): BrokerPlace['env'] =>
  Object.fromEntries(Object.entries(env).filter(([name]) => kept.test(name)))

/** Starts the program as the broker, on its own. What it has to say about trouble goes to a file. */
function spawnBroker({ folder, program, env }: BrokerPlace): { hasEnded: () => boolean } {
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

/** Waits for the broker that this process or another one starts. */
async function awaitBroker(place: BrokerPlace): Promise<Socket> {
  const { folder } = place
  const lock = join(folder, 'starting')
  const deadline = performance.now() + patienceMs
  let started: ReturnType<typeof spawnBroker> | undefined
  try {
    while (performance.now() < deadline && !started?.hasEnded()) {
      if (started === undefined && (await takeTurn(lock))) {
        const there = await findBroker(folder) // another one was started meanwhile
        if (there) return there
        trace('broker', 'start the broker')
        started = spawnBroker(place)
      }
      await sleep(pollMs)
      const connected = await findBroker(folder)
      if (connected) return connected
    }
  } finally {
    if (started) await rm(lock, { force: true })
  }
  throw new BrokerUnavailable('the broker does not start')
}

/** Starts the broker, unless another command is about to, and connects to it. Rejects with {@link BrokerUnavailable}. */
export async function launchBroker(place: BrokerPlace): Promise<Socket> {
  try {
    await mkdir(place.folder, { recursive: true, mode: 0o700 })
    checkFolder(place.folder)
    return await awaitBroker(place)
  } catch (error) {
    if (error instanceof BrokerUnavailable) throw error
    throw new BrokerUnavailable('the broker cannot be started', { cause: error })
  }
}
