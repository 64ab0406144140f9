import type { Machine } from '../machine/machine.ts'
import type { Context } from './context.ts'
import { fanOut } from './fan-out.ts'

/** What the world says of a machine now. */
export interface Observation {
  readonly machine: Machine
  /**
   * `running`: the host answers, and so does its engine, where it is to have one.
   * `no-engine`: the host answers and its engine does not.
   */
  readonly state: 'running' | 'no-engine' | 'unreachable' | 'not-created'
  /** Why it is not running. */
  readonly reason?: string
  readonly engine?: string
  readonly containers?: { readonly running: number; readonly all: number }
  readonly images?: number
  readonly os?: string
  readonly arch?: string
  /** Time it took to ask, in milliseconds. */
  readonly took: number
}

/** The part of the engine's answer to `GET /info` that fleet shows. */
interface EngineInfo {
  readonly ServerVersion: string
  readonly Containers: number
  readonly ContainersRunning: number
  readonly Images: number
  readonly OperatingSystem: string
  readonly Architecture: string
}

type Answer = Omit<Observation, 'machine' | 'took'>

/** How asking one machine went so far. */
interface Question {
  readonly began: number
  /** Whether the host has let us in. */
  reached: boolean
}

/**
 * How many machines are asked at once unless told. A handshake takes about 10 ms of processor time: with many
 * more, it would be this computer that keeps hosts from answering in time.
 */
const usualConcurrency = 128

async function askMachine(
  context: Context,
  machine: Machine,
  question: Question,
  signal: AbortSignal,
): Promise<Answer> {
  if (machine.host?.phase !== 'ready') return { state: 'not-created' }
  await context.connect(machine)
  question.reached = true
  if (machine.engine === 'none') return { state: 'running' }
  const engine = await context.engine(machine)
  const info = await engine.json<EngineInfo>({ path: '/info', signal })
  return {
    state: 'running',
    engine: info.ServerVersion,
    containers: { running: info.ContainersRunning, all: info.Containers },
    images: info.Images,
    os: info.OperatingSystem,
    arch: info.Architecture,
  }
}

/**
 * Asks machines how they are, many at once, and yields the answers as they come. What has not
 * answered after `timeoutMs` is told as such; it delays no other.
 */
export async function* observeMachines(
  context: Context,
  machines: readonly Machine[],
  {
    timeoutMs,
    concurrency = usualConcurrency,
  }: { timeoutMs: number; concurrency?: number | undefined },
): AsyncGenerator<Observation> {
  const questions = new Map<Machine, Question>()
  const ask = (machine: Machine, signal: AbortSignal): Promise<Answer> => {
    const question = { began: performance.now(), reached: false }
    questions.set(machine, question)
    return askMachine(context, machine, question, signal)
  }
  const { signal } = context
  for await (const outcome of fanOut(machines, ask, { concurrency, signal, timeoutMs })) {
    const { machine } = outcome
    const { began = 0, reached = false } = questions.get(machine) ?? {}
    const answer: Answer =
      'error' in outcome
        ? { state: reached ? 'no-engine' : 'unreachable', reason: outcome.error.message }
        : outcome.value
    yield { machine, took: Math.round(performance.now() - began), ...answer }
  }
}
