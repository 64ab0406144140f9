import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { countProcess, processorTime } from './processor.ts'

/** A command line to time. */
export interface Run {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  /** Untimed, before each run. */
  readonly prepare?: () => Promise<unknown>
}

/** What a run took, in milliseconds. */
export interface Took {
  /** On the clock. */
  readonly elapsed: number
  /** Of the processor, by all processes on the client's side: the command's own, and those that it started or that work for it. */
  readonly processor: number
}

/** A command that was ended because it took more than so many milliseconds. */
export interface TooSlow {
  readonly limit: number
}

/** Thrown where a command does not end in time. */
class OutOfTime extends Error {}

/** No run takes longer, so that a hanging one ends. */
const deadlineMs = 120_000

/** Runs a command with its output thrown away. Throws when it fails. */
async function time({ argv, env, prepare }: Run, limit = deadlineMs): Promise<Took> {
  await prepare?.()
  const before = await processorTime()
  const [program, ...args] = argv
  const nowhere = openSync('/dev/null', 'r+')
  const start = performance.now()
  const child = spawn(program, args, {
    env: { ...env },
    stdio: [nowhere, nowhere, 'pipe'],
    detached: true, // a process group, which can be killed with all that it started
  })
  closeSync(nowhere)
  if (child.pid !== undefined) countProcess(child.pid)
  let isLate = false
  const deadline = setTimeout(() => {
    isLate = true
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }, limit)
  const [words, [code, signal]] = await Promise.all([
    child.stderr ? text(child.stderr) : '',
    once(child, 'close') as Promise<[number | null, string | null]>,
  ])
  clearTimeout(deadline)
  const elapsed = performance.now() - start
  if (isLate) throw new OutOfTime(`${argv.join(' ')} took more than ${limit / 1000} s`)
  if (code === 0) return { elapsed, processor: (await processorTime()) - before }
  const ending = code === null ? `was ended by ${signal}` : `failed with code ${code}`
  throw new Error(`${argv.join(' ')} ${ending}: ${words.trim()}`)
}

const leastRounds = 3
const maxRounds = 21
/** Fast work is repeated until its median is steady; slow work must not take all the time. */
const enoughMs = 10_000

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? upper) + upper) / 2 : upper
}

/** A peer is given so many times what fleet took, and no less than this, before it is too slow to be measured. */
const mostTimes = 10
const leastLimitMs = 10_000

/**
 * Times commands against each other: in turn, so that whatever else the computer does meets all of them,
 * after one round that only warms caches. Gives each one's medians. One that takes too long, compared with the first, is not
 * run again.
 */
export async function compare(
  runs: readonly Run[],
  rounds = leastRounds,
): Promise<(Took | TooSlow)[]> {
  const all = runs.map((run) => ({
    run,
    took: [] as Took[],
    slow: undefined as TooSlow | undefined,
  }))
  const measure = async (one: (typeof all)[number], limit: number): Promise<Took | undefined> => {
    if (one.slow !== undefined) return undefined
    try {
      return await time(one.run, limit)
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error
      one.slow = { limit }
      return undefined
    }
  }
  for (const one of all) await measure(one, deadlineMs)
  const start = performance.now()
  let limit = deadlineMs
  for (let round = 0; round < maxRounds; round += 1) {
    if (round >= rounds && performance.now() - start > enoughMs) break
    for (const one of all) {
      const took = await measure(one, limit)
      if (took !== undefined) one.took.push(took)
      if (took !== undefined && one === all[0])
        limit = Math.min(deadlineMs, Math.max(leastLimitMs, mostTimes * took.elapsed))
    }
  }
  return all.map(
    ({ took, slow }) =>
      slow ?? {
        elapsed: median(took.map(({ elapsed }) => elapsed)),
        processor: median(took.map(({ processor }) => processor)),
      },
  )
}

/** Runs a command and gives the most memory that it took at once, in bytes. */
export async function measureMemory({ argv, env }: Run): Promise<number> {
  const script = [
    'import resource, subprocess, sys',
    'subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)',
    'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)',
  ].join('\n')
  const child = spawn('python3', ['-c', script, ...argv], {
    env: { ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: deadlineMs,
  })
  return Number(await text(child.stdout)) * 1024
}
