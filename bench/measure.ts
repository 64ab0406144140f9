import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { countProcess, processorTime } from './processor.ts'

/** A command line to time. */
export interface Run {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  /** Called before each run. Its time does not count. */
  readonly prepare?: () => Promise<unknown>
}

/** The duration of a run, in milliseconds. */
export interface Took {
  /** Wall-clock time. */
  readonly elapsed: number
  /** Processor time of all processes on the client's side: the command, processes that it started, and its broker. */
  readonly processor: number
}

/** The result of a command that was killed after `limit` milliseconds. */
export interface TooSlow {
  readonly limit: number
}

/** Thrown if a command was killed because it took too long. */
class OutOfTime extends Error {}

/** The maximum duration of a run, after which a hanging command is killed. */
const deadlineMs = 120_000

/** Runs a command and discards its output. Throws if it fails. */
async function time({ argv, env, prepare }: Run, limit = deadlineMs): Promise<Took> {
  await prepare?.()
  const before = await processorTime()
  const [program, ...args] = argv
  const nowhere = openSync('/dev/null', 'r+')
  const start = performance.now()
  const child = spawn(program, args, {
    env: { ...env },
    stdio: [nowhere, nowhere, 'pipe'],
    detached: true, // a new process group, so that all processes that it starts can be killed
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
/** After this time, no rounds beyond the minimum are started, so that only fast commands run many times. */
const enoughMs = 10_000

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? upper) + upper) / 2 : upper
}

/** The time limit of a peer: a multiple of fleet's time, and at least `leastLimitMs`. */
const mostTimes = 10
const leastLimitMs = 10_000

/**
 * Measures commands alternately, so that other load on the computer affects all of them, after an initial round that
 * only warms caches. Returns the medians for each command. A command that takes too long compared with the first one is
 * not repeated.
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

/** Runs a command and returns its maximum memory usage (resident set size), in bytes. */
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
