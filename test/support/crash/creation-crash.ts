import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Aws } from '../aws/aws.ts'
import type { World } from '../aws/ec2/world.ts'
import { type Person, makePerson } from '../test-user.ts'
import { ageLocks } from './age-locks.ts'

/** A place where a creation is cut short. */
export interface CrashPoint {
  /** `call 7`, `write 3`. */
  readonly place: string
  /** How: `killed before`. */
  readonly how: string
  /** Lays the trap in a rig where nothing was called yet. `pid` is the program's, once it runs. */
  readonly arm: (aws: Aws, pid: () => number) => void
  /** The number of the call that it waits for. */
  readonly call?: number
  /** For the environment of the program. */
  readonly environment?: Readonly<Record<string, string>>
}

/** What became of a creation that was cut short. */
export interface CrashRow {
  readonly place: string
  readonly how: string
  /** The last call that came in before. */
  readonly at: string
  /** Whether the trap was met: a creation may be over before the call that it waits for. */
  readonly fired: boolean
  /** Exit codes: -2 is a death by signal. */
  readonly first: number
  readonly again: number
  /** After the second attempt, at the provider. */
  readonly made: string
  readonly removed: number
  /** After the removal: at the provider, then in home. */
  readonly left: string
}

const preload = fileURLToPath(new URL('kill-at-write.mjs', import.meta.url))

const createWords = ['create', 'web-1', '--driver', 'aws', '--no-engine']
const create = [...createWords, '--ssh-cidr', '10.77.0.0/16']

/** `1 instance, 1 group, 1 key pair`; `nothing`. */
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

/** What says that a process is at work, and means nothing once it is dead: the next creation clears it away. */
const isLock = /\.(lock|sock)$/

/** What home keeps for hosts that fleet makes: nothing, once they are gone. */
async function describeHome({ home }: Person): Promise<string> {
  const names = await Promise.all(
    ['keys', 'creations'].map((folder) =>
      readdir(join(home, 'fleet', folder)).catch((): string[] => []),
    ),
  )
  const files = names.flat().filter((name) => !isLock.test(name))
  return files.length === 0 ? 'nothing' : files.join(' ')
}

/** Cut short so late that nothing is left to be done. */
const isReady = async (person: Person): Promise<boolean> =>
  (await person.inventory()).includes('phase: ready')

const hasEntry = async (person: Person): Promise<boolean> =>
  (await person.inventory()).includes('web-1')

/** Kills the client of a call: `before`, when the call has not arrived, or `after` it was executed, unanswered. */
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

/** Every call from this one on gets an error that another attempt does not mend. */
export const failFromCall = (number: number): CrashPoint => ({
  place: `call ${number}`,
  how: 'errors from here',
  arm: (aws) =>
    aws.inject({
      ...{ kind: 'error', code: 'UnsupportedOperation', status: 400 },
      ...{ at: number, times: 1000 },
    }),
})

/** The call is executed and its answer never arrives. */
export const loseAnswer = (number: number): CrashPoint => ({
  place: `call ${number}`,
  how: 'answer lost',
  arm: (aws) => aws.inject({ kind: 'lose', at: number }),
})

/** The call is executed, no answer comes, and the person presses Ctrl-C. */
export const interruptCall = (number: number): CrashPoint => ({
  place: `call ${number}`,
  how: 'hangs, Ctrl-C',
  arm: (aws, pid) => {
    aws.inject({ kind: 'hang', executed: true, at: number })
    aws.onCall((at, call) => {
      if (at === 'after' && call.number === number) process.kill(pid(), 'SIGINT')
    })
  },
})

/** Kills the program before or after its nth durable change of a file. */
export const killAtWrite = (number: number, phase: 'before' | 'after'): CrashPoint => ({
  place: `write ${number}`,
  how: `killed ${phase}`,
  arm: () => {},
  environment: {
    NODE_OPTIONS: `--import ${preload}`,
    FLEET_TEST_KILL_AT: `${phase}:${number}`,
  },
})

/** Cuts a creation short, does it `again` (or not at all: `undo`), and removes the machine. */
export async function crash(
  aws: Aws,
  point: CrashPoint,
  mode: 'again' | 'undo',
): Promise<CrashRow> {
  await aws.reset()
  await using person = await makePerson()
  const env = aws.environment
  let pid = 0
  point.arm(aws, () => pid)
  const first = await person.fleet(create, {
    env: { ...env, ...point.environment },
    started: (started) => {
      pid = started
    },
  })
  const at = aws.calls.at(-1)?.action ?? 'none'
  const fired = aws.calls.length >= (point.call ?? 0)
  aws.mend()
  if (first.code === -2) await ageLocks(person.home, person.folder)
  const again = mode === 'again' ? await finish(person, env) : first.code
  const made = describeWorld(await aws.world())
  const removed = (await hasEntry(person))
    ? (await person.fleet(['rm', '-y', 'web-1'], { env })).code
    : 0
  const left = `${describeWorld(await aws.world())}, ${await describeHome(person)}`
  const { place, how } = point
  return { place, how, at, fired, first: first.code, again, made, removed, left }
}

/** Types what finishes a creation, as far as there is something to finish. Gives the exit code. */
async function finish(person: Person, env: Aws['environment']): Promise<number> {
  if (await isReady(person)) return 0
  const words = (await hasEntry(person)) ? ['create', 'web-1'] : create
  return (await person.fleet(words, { env })).code
}

/** Creates once undisturbed: how many calls and writes there are to be cut short. */
export async function countPoints(aws: Aws): Promise<{ calls: number; writes: number }> {
  await aws.reset()
  await using person = await makePerson()
  const log = join(person.home, 'writes')
  const { code, stderr } = await person.fleet(create, {
    env: { ...aws.environment, NODE_OPTIONS: `--import ${preload}`, FLEET_TEST_WRITES: log },
  })
  if (code !== 0) throw new Error(`the undisturbed creation failed: ${stderr}`)
  const writes = (await readFile(log, 'utf8')).trim().split('\n').length
  // How often it asks whether the host runs is a matter of luck: the first time counts, and may not come another time.
  const last = aws.calls.findLastIndex(({ action }) => action !== 'DescribeInstances')
  return { calls: last + 2, writes }
}
