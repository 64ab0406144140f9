import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** Output and exit code of a program; the code is -1 if the program was killed by a signal. */
export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Starts a program that the kernel kills when this process exits for any reason (prctl(2), PR_SET_PDEATHSIG). */
export const spawnTied = (argv: readonly string[], options: SpawnOptions): ChildProcess =>
  spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', ...argv], options)

/** Returns whether a process has exited. */
export const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null

/** Resolves when a process has exited. */
export async function ended(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, 'exit')
}

/** Sends a signal to a process, if it still exists. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Collects the output of a process with piped output, until it exits. */
export async function finish(child: ChildProcess): Promise<Finished> {
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code: code ?? -1, stdout, stderr }
}

/** Runs a program on this computer. Resolves to its output; throws if it fails. */
export async function runProgram(
  argv: readonly [string, ...string[]],
  input = '',
): Promise<string> {
  const [file, ...rest] = argv
  const child = spawn(file, rest, { stdio: 'pipe' })
  child.stdin.on('error', () => {}) // the program may exit without reading it
  child.stdin.end(input)
  const { code, stdout, stderr } = await finish(child)
  if (code !== 0) throw new Error(`${argv.join(' ')} failed with code ${code}: ${stderr.trim()}`)
  return stdout
}

/** Returns the PIDs of a process's children (proc(5), `/proc/PID/task/TID/children`), or none if it has exited. */
export function childrenOf(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return list.trim().split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Returns the PIDs of all descendants of a process. */
export function descendantsOf(pid: number): number[] {
  const children = childrenOf(pid)
  return children.concat(children.flatMap(descendantsOf))
}

/**
 * Calls `ask` repeatedly until it resolves to a value other than `undefined`, and resolves to this value. Throws when
 * it times out; `what` completes the sentence "waited 300 s for …".
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

/** Returns the name of a process's program (proc(5), `/proc/PID/comm`), or the empty string if it has exited. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}
