import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

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
  /** Of the processor, by the command and the processes that it started and waited for. */
  readonly processor: number
}

/** Thrown where a command does not end in time. */
class TooSlow extends Error {}

/** No run takes longer, so that a hanging one ends. */
const deadlineMs = 120_000

/** Runs a command with its output thrown away. Gives the milliseconds on the clock. Throws when it fails. */
async function time({ argv, env, prepare }: Run): Promise<number> {
  await prepare?.()
  const [program, ...args] = argv
  const nowhere = openSync('/dev/null', 'r+')
  const start = performance.now()
  const child = spawn(program, args, {
    env: { ...env },
    stdio: [nowhere, nowhere, 'pipe'],
    detached: true, // a process group, which can be killed with all that it started
  })
  closeSync(nowhere)
  let isLate = false
  const deadline = setTimeout(() => {
    isLate = true
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }, deadlineMs)
  const [words, [code, signal]] = await Promise.all([
    child.stderr ? text(child.stderr) : '',
    once(child, 'close') as Promise<[number | null, string | null]>,
  ])
  clearTimeout(deadline)
  const took = performance.now() - start
  if (code === 0) return took
  if (isLate) throw new TooSlow(`${argv.join(' ')} took more than ${deadlineMs / 1000} s`)
  const ending = code === null ? `was ended by ${signal}` : `failed with code ${code}`
  throw new Error(`${argv.join(' ')} ${ending}: ${words.trim()}`)
}

/** Where the shell below writes the processor time. */
const timesFile = join(tmpdir(), `fleet-bench-${process.pid}`)

/**
 * Runs a command once more for its processor time, in milliseconds. A shell starts it, whose `times` counts that of its
 * children (POSIX); the shell itself would take a moment on the clock.
 */
async function timeProcessor(run: Run): Promise<number> {
  const script = '"$@"; code=$?; times >"$0"; exit $code'
  await time({ ...run, argv: ['sh', '-c', script, timesFile, ...run.argv] })
  const times = await readFile(timesFile, 'utf8')
  await rm(timesFile)
  return processorTimeIn(times)
}

/** The processor time of a shell's children, in milliseconds: the second line of `times`, as `0m0.010s 0m0.020s`. */
function processorTimeIn(times: string): number {
  const [, children = ''] = times.split('\n')
  const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)]
  return parts.reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  )
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

/**
 * Times commands against each other: in turn, so that whatever else the computer does meets all of them,
 * after one round that only warms caches. Gives each one's medians; undefined for one that takes too long, which is not
 * run again.
 */
export async function compare(
  runs: readonly Run[],
  rounds = leastRounds,
): Promise<(Took | undefined)[]> {
  const all = runs.map((run) => ({ run, elapsed: [] as number[], processor: [] as number[] }))
  const slow = new Set<Run>()
  const measure = async (run: Run, how: typeof time, times: number[]): Promise<void> => {
    if (slow.has(run)) return
    try {
      times.push(await how(run))
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error
      slow.add(run)
    }
  }
  for (const run of runs) await measure(run, time, [])
  const start = performance.now()
  for (let round = 0; round < maxRounds; round += 1) {
    if (round >= rounds && performance.now() - start > enoughMs) break
    for (const { run, elapsed, processor } of all) {
      await measure(run, time, elapsed)
      if (round < rounds) await measure(run, timeProcessor, processor)
    }
  }
  return all.map(({ run, elapsed, processor }) =>
    slow.has(run) ? undefined : { elapsed: median(elapsed), processor: median(processor) },
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
