import type { AsyncLocalStorage } from 'node:async_hooks'
import { appendFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { UserError, codeOf, messageOf } from '../errors.ts'
import type { Environment } from './environment.ts'

/** The topics of trace lines. `FLEET_DEBUG` selects all or some of them. */
export const traceTopics = [
  ...['command', 'inventory', 'state', 'git', 'broker', 'ssh', 'engine', 'docker', 'copy'],
  ...['driver', 'aws', 'azure', 'qemu', 'virtualbox', 'provision', 'completion'],
] as const
export type TraceTopic = (typeof traceTopics)[number]

/** A request to trace the broker's work for a command, which the client sends to the broker. */
export interface TraceRequest {
  /** The ID of the command, which each of its trace lines contains. */
  readonly id: string
  /** The topics to trace. */
  readonly topics: readonly string[]
}

/** The destination for the trace of one command. */
export interface Tracer extends TraceRequest {
  readonly write: (lines: string) => void
  readonly redact: (text: string) => string
}

const off = new Set(['', '0', 'off', 'false', 'no'])
const everything = new Set(['1', 'on', 'true', 'yes', 'all', '*'])

/** Returns the topics that `FLEET_DEBUG` selects. Throws kind `usage` for an unknown topic. */
export function readTopics({ FLEET_DEBUG = '' }: Environment): readonly string[] {
  const words = FLEET_DEBUG.toLowerCase().split(/[\s,]+/)
  if (words.every((word) => off.has(word))) return []
  if (words.some((word) => everything.has(word))) return traceTopics
  const unknown = words.find((word) => word !== '' && !traceTopics.some((topic) => topic === word))
  if (unknown === undefined) return words.filter((word) => word !== '')
  throw new UserError('usage', `FLEET_DEBUG: unknown topic ${JSON.stringify(unknown)}`, {
    hint: `use 1 for all topics, or a comma-separated list of topics: ${traceTopics.join(',')}`,
  })
}

/** Creates a random ID for a command. */
export const newTraceId = (): string => Math.random().toString(36).slice(2, 8).padEnd(6, '0')

/** Returns a function that writes lines to the file that `FLEET_DEBUG_FILE` names, else to `stderr`. */
export function traceOutput(
  { FLEET_DEBUG_FILE: name }: Environment,
  cwd: string,
  stderr: (text: string) => void,
): Tracer['write'] {
  if (name === undefined || name === '') return stderr
  const file = resolve(cwd, name)
  let hasFailed = false
  return (text) => {
    if (hasFailed) return stderr(text)
    try {
      appendFileSync(file, text, { mode: 0o600 })
    } catch (error) {
      hasFailed = true
      stderr(`cannot write to ${file} (FLEET_DEBUG_FILE): ${messageOf(error)}\n${text}`)
    }
  }
}

/** Created by the first traced command, so that untraced commands do not incur its cost. */
let storage: AsyncLocalStorage<Tracer> | undefined
let running = 0

/** Runs `work`, and sends its trace lines, including the lines of asynchronous work that it starts, to `tracer`. */
export async function runTraced<Value>(tracer: Tracer, work: () => Promise<Value>): Promise<Value> {
  const { AsyncLocalStorage } = process.getBuiltinModule('node:async_hooks')
  const store = (storage ??= new AsyncLocalStorage<Tracer>())
  running += 1
  try {
    return await store.run(tracer, work)
  } finally {
    running -= 1
    if (running === 0) {
      storage = undefined
      setImmediate(() => store.disable()) // deferred, so that code awaiting the result is still traced
    }
  }
}

/** Whether the current work is traced. */
export const isTraced = (): boolean => storage?.getStore() !== undefined

/** Returns the request to trace the broker's work for this command; undefined if the command is not traced. */
export function traceRequest(): TraceRequest | undefined {
  const tracer = storage?.getStore()
  return tracer && { id: tracer.id, topics: tracer.topics }
}

/** Writes lines from another process to the trace of the current work. */
export const passTraceOn = (lines: string): void => storage?.getStore()?.write(lines)

const longestMessage = 2000

/**
 * Adds a line to the trace. Pass an expensive message as a function, which is called only if the line is written.
 * Messages name actions and never contain content: no output, request bodies, user input, or command lines.
 */
export function trace(topic: TraceTopic, message: string | (() => string)): void {
  const tracer = storage?.getStore()
  if (tracer === undefined || !tracer.topics.includes(topic)) return
  const text = (typeof message === 'string' ? message : message()).slice(0, longestMessage)
  const line = tracer.redact(text.trim().replaceAll(/\s*[\r\n]+\s*/g, ' | '))
  // oxlint-disable-next-line no-control-regex -- control characters from a host could move the cursor
  const visible = line.replaceAll(/[\0-\x1F\x7F-\x9F]/g, '?')
  tracer.write(`${new Date().toISOString()} ${topic} ${tracer.id} ${visible}\n`)
}

/** Formats an error and its causes on one line. */
function describe(thrown: unknown): string {
  const parts: string[] = []
  for (let error = thrown; error !== undefined && parts.length < 4;) {
    const code = codeOf(error)
    const message = messageOf(error)
    parts.push(code === undefined || message.includes(code) ? message : `${code} ${message}`)
    error = error instanceof Error ? error.cause : undefined
  }
  return parts.join(', caused by: ')
}

/** Traces an error that is not shown to the user. */
export function traceError(topic: TraceTopic, action: string, error: unknown): void {
  trace(topic, () => `cannot ${action}: ${describe(error)}`)
}

/** Runs `work`, and adds a trace line with its duration and outcome when it ends. */
export async function traceWork<Value>(
  topic: TraceTopic,
  action: string,
  work: () => Promise<Value>,
  outcome?: (value: Value) => string,
): Promise<Value> {
  if (!isTraced()) return work()
  const began = performance.now()
  const took = () => `${(performance.now() - began).toFixed(0)} ms`
  try {
    const value = await work()
    trace(topic, () => `${action}: ${outcome === undefined ? 'done' : outcome(value)}, ${took()}`)
    return value
  } catch (error) {
    trace(topic, () => `${action}: failed after ${took()}: ${describe(error)}`)
    throw error
  }
}

/**
 * For use with `.catch`: traces an error that fleet ignores, and returns `instead`. `action` completes the sentence
 * "cannot …".
 */
export function ignored(topic: TraceTopic, action: string): (error: unknown) => undefined
export function ignored<Value>(
  topic: TraceTopic,
  action: string,
  instead: Value,
): (error: unknown) => Value
export function ignored(topic: TraceTopic, action: string, instead?: unknown) {
  return (error: unknown): unknown => {
    traceError(topic, action, error)
    return instead
  }
}
