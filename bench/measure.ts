import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'

/** A command line to time. */
export interface Run {
  readonly argv: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  /** Untimed, before each run. */
  readonly prepare?: () => Promise<unknown>
}

/** No run takes longer, so that a hanging one ends the benchmark. */
const deadlineMs = 120_000

/** Runs a command with its output thrown away and gives the milliseconds it took. Throws when it fails. */
async function time({ argv: [program, ...args], env, prepare }: Run): Promise<number> {
  await prepare?.()
  const nowhere = openSync('/dev/null', 'r+')
  const start = performance.now()
  const child = spawn(program, args, {
    env: { ...env },
    stdio: [nowhere, nowhere, 'pipe'],
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  })
  closeSync(nowhere)
  const [words, [code, signal]] = await Promise.all([
    child.stderr ? text(child.stderr) : '',
    once(child, 'close') as Promise<[number | null, string | null]>,
  ])
  const took = performance.now() - start
  if (code === 0) return took
  const ending = code === null ? `was ended by ${signal}` : `failed with code ${code}`
  throw new Error(`${[program, ...args].join(' ')} ${ending}: ${words.trim()}`)
}

const leastRounds = 3
const mostRounds = 21
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
 * after one round that only warms caches. Gives each one's median in milliseconds.
 */
export async function compare(runs: readonly Run[], rounds = leastRounds): Promise<number[]> {
  for (const run of runs) await time(run)
  const times = runs.map((): number[] => [])
  const start = performance.now()
  for (let round = 0; round < mostRounds; round += 1) {
    if (round >= rounds && performance.now() - start > enoughMs) break
    for (const [index, run] of runs.entries()) times[index]?.push(await time(run))
  }
  return times.map(median)
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
