import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a program printed and how it ended; a death by signal has code -1. */
export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Starts a program that the kernel kills when this process ends, however it ends (prctl(2), PR_SET_PDEATHSIG). */
export const spawnTied = (argv: readonly string[], options: SpawnOptions): ChildProcess =>
  spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', ...argv], options)

/** Whether a process has ended. */
export const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null

/** Resolves when a process has ended. */
export async function ended(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, 'exit')
}

/** Sends a signal to a process, if there still is one. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Collects what a process with piped output prints, until it ends. */
export async function finish(child: ChildProcess): Promise<Finished> {
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code: code ?? -1, stdout, stderr }
}

/** Runs a program of this machine and gives its output; throws when it fails. */
export async function runProgram(
  argv: readonly [string, ...string[]],
  input = '',
): Promise<string> {
  const [file, ...rest] = argv
  const child = spawn(file, rest, { stdio: 'pipe' })
  child.stdin.on('error', () => {}) // the program may end without reading it
  child.stdin.end(input)
  const { code, stdout, stderr } = await finish(child)
  if (code !== 0) throw new Error(`${argv.join(' ')} failed with code ${code}: ${stderr.trim()}`)
  return stdout
}

/** The process ids of a process's children (proc(5), `/proc/PID/task/TID/children`); none when it is gone. */
export function childrenOf(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return list.trim().split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** The process ids of everything below a process. */
export function descendantsOf(pid: number): number[] {
  const children = childrenOf(pid)
  return children.concat(children.flatMap(descendantsOf))
}

/**
 * Asks again and again until the answer is not `undefined`, and gives that answer.
 * Throws when it does not come in time; `what` completes the sentence "waited 300 s for …".
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  timeout = 300_000,
): Promise<T> {
  const deadline = Date.now() + timeout
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error(`waited ${timeout / 1000} s for ${what}`)
    await sleep(10)
  }
}

/** The name of a process's program (proc(5), `/proc/PID/comm`); nothing when it is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}
