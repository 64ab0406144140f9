import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Aws } from '../aws/aws.ts'
import type { World } from '../aws/ec2/world.ts'
import { type TestUser, makeTestUser } from '../test-user.ts'
import { ageLocks } from './age-locks.ts'

/** A point at which a creation is interrupted. */
export interface CrashPoint {
  /** Number of a call to AWS or of a write, such as `call 7` or `write 3`. */
  readonly place: string
  /** Kind of interruption, such as `killed before`. */
  readonly how: string
  /**
   * Prepares the interruption in an account that has no calls yet. `pid` returns the process ID of fleet once it is
   * running.
   */
  readonly arm: (aws: Aws, pid: () => number) => void
  /** Number of the call at which the interruption occurs, if it occurs at a call. */
  readonly call?: number
  /** Additional environment variables for fleet. */
  readonly environment?: Readonly<Record<string, string>>
}

/** Result of an interrupted creation. */
export interface CrashRow {
  readonly place: string
  readonly how: string
  /** The last call before the interruption. */
  readonly at: string
  /** Whether the interruption occurred: a creation may end before it reaches the call to interrupt. */
  readonly fired: boolean
  /** Exit codes of the first and second attempt; -2 for an attempt that was killed by a signal. */
  readonly first: number
  readonly again: number
  /** The provider's resources after the second attempt. */
  readonly made: string
  readonly removed: number
  /** Resources and files that remain after the removal, at the provider and in the home directory. */
  readonly left: string
}

const preload = fileURLToPath(new URL('kill-at-write.mjs', import.meta.url))

const createWords = ['create', 'web-1', '--driver', 'aws', '--no-engine']
const create = [...createWords, '--ssh-cidr', '10.77.0.0/16']

/** Returns counts such as `1 instance, 1 group, 1 key pair`, or `nothing`. */
function describeWorld({ instances, groups, keyPairs, addresses }: World): string {
  const counts = [
    [instances.length, 'instance'],
    [groups.length, 'group'],
    [keyPairs.length, 'key pair'],
    [addresses.length, 'address'],
  ] as const
  const parts = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return parts.join(', ') || 'nothing'
}

/** Names of locks and sockets, which are irrelevant once their processes are dead: the next creation removes them. */
const isLock = /\.(lock|sock)$/

/** Resolves to the files for created hosts in the home directory, or to `nothing` after their removal. */
async function describeHome({ home }: TestUser): Promise<string> {
  const names = await Promise.all(
    ['keys', 'creations'].map((folder) =>
      readdir(join(home, 'fleet', folder)).catch((): string[] => []),
    ),
  )
  const files = names.flat().filter((name) => !isLock.test(name))
  return files.length === 0 ? 'nothing' : files.join(' ')
}

/** Resolves to whether the interruption came so late that nothing is left to do. */
const isReady = async (user: TestUser): Promise<boolean> =>
  (await user.inventory()).includes('phase: ready')

const hasEntry = async (user: TestUser): Promise<boolean> =>
  (await user.inventory()).includes('web-1')

/** Kills the client of a call before the call is executed, or after it is executed but not answered. */
export const killAtCall = (number: number, phase: 'before' | 'after'): CrashPoint => ({
  place: `call ${number}`,
  how: `killed ${phase}`,
  call: number,
  arm: (aws, pid) =>
    void aws.onCall((at, call) => {
      if (at !== phase || call.number !== number) return undefined
      process.kill(pid(), 'SIGKILL')
      return 'drop'
    }),
})

/** Makes this call and all later ones fail with an error that is not retried. */
export const failFromCall = (number: number): CrashPoint => ({
  place: `call ${number}`,
  how: 'all calls fail from here on',
  arm: (aws) =>
    aws.inject({
      ...{ kind: 'error', code: 'UnsupportedOperation', status: 400 },
      ...{ at: number, times: 1000 },
    }),
})

/** Executes the call, but drops its answer. */
export const loseAnswer = (number: number): CrashPoint => ({
  place: `call ${number}`,
  how: 'response lost',
  arm: (aws) => aws.inject({ kind: 'lose', at: number }),
})

/** Executes the call without an answer, and sends SIGINT (Ctrl-C). */
export const interruptCall = (number: number): CrashPoint => ({
  place: `call ${number}`,
  how: 'Ctrl-C during the call',
  arm: (aws, pid) => {
    aws.inject({ kind: 'hang', executed: true, at: number })
    aws.onCall((at, call) => {
      if (at === 'after' && call.number === number) process.kill(pid(), 'SIGINT')
    })
  },
})

/** Kills the program before or after its nth durable change to a file. */
export const killAtWrite = (number: number, phase: 'before' | 'after'): CrashPoint => ({
  place: `write ${number}`,
  how: `killed ${phase}`,
  arm: () => {},
  environment: {
    NODE_OPTIONS: `--import ${preload}`,
    FLEET_TEST_KILL_AT: `${phase}:${number}`,
  },
})

/** Interrupts a creation, repeats it if the mode is `again` (not if it is `undo`), and removes the machine. */
export async function crash(
  aws: Aws,
  point: CrashPoint,
  mode: 'again' | 'undo',
): Promise<CrashRow> {
  await aws.reset()
  await using user = await makeTestUser()
  const env = aws.environment
  let pid = 0
  point.arm(aws, () => pid)
  const first = await user.fleet(create, {
    env: { ...env, ...point.environment },
    started: (started) => {
      pid = started
    },
  })
  const at = aws.calls.at(-1)?.action ?? 'none'
  const fired = aws.calls.length >= (point.call ?? 0)
  aws.clearFaults()
  if (first.code === -2) await ageLocks(user.home, user.folder)
  const again = mode === 'again' ? await finish(user, env) : first.code
  const made = describeWorld(await aws.world())
  const removed = (await hasEntry(user))
    ? (await user.fleet(['rm', '-y', 'web-1'], { env })).code
    : 0
  const left = `${describeWorld(await aws.world())}, ${await describeHome(user)}`
  const { place, how } = point
  return { place, how, at, fired, first: first.code, again, made, removed, left }
}

/** Runs the command that finishes a creation, if it is unfinished. Resolves to the exit code. */
async function finish(user: TestUser, env: Aws['environment']): Promise<number> {
  if (await isReady(user)) return 0
  const words = (await hasEntry(user)) ? ['create', 'web-1'] : create
  return (await user.fleet(words, { env })).code
}

/** Creates a machine without interruption. Resolves to the number of possible interruption points of each kind. */
export async function countPoints(aws: Aws): Promise<{ calls: number; writes: number }> {
  await aws.reset()
  await using user = await makeTestUser()
  const log = join(user.home, 'writes')
  const { code, stderr } = await user.fleet(create, {
    env: { ...aws.environment, NODE_OPTIONS: `--import ${preload}`, FLEET_TEST_WRITES: log },
  })
  if (code !== 0) throw new Error(`the undisturbed creation failed: ${stderr}`)
  const writes = (await readFile(log, 'utf8')).trim().split('\n').length
  // The number of status calls depends on timing: only the first one counts, and even that one may not occur in another
  // run.
  const last = aws.calls.findLastIndex(({ action }) => action !== 'DescribeInstances')
  return { calls: last + 2, writes }
}
