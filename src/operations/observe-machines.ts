import { UserError } from '../errors.ts'
import type { Machine } from '../machine/machine.ts'
import type { Context } from './context.ts'
import { fanOut } from './fan-out.ts'

/** What the world says of a machine now. */
export interface Observation {
  readonly machine: Machine
  /** `no-engine`: the host answers and its engine does not. */
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

async function askMachine(
  context: Context,
  machine: Machine,
  signal: AbortSignal,
): Promise<Answer> {
  if (machine.host?.phase !== 'ready') return { state: 'not-created' }
  const transport = await context.connect(machine)
  if (machine.engine === 'none')
    return { state: 'no-engine', reason: 'its entry says engine: none' }
  void transport
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

function answerOf(error: unknown): Answer {
  if (!(error instanceof UserError)) throw error
  const reached = error.kind === 'failed' || error.kind === 'unsupported'
  return { state: reached ? 'no-engine' : 'unreachable', reason: error.message }
}

/**
 * Asks every machine at once how it is, and yields the answers as they come. A machine
 * that has not answered after `timeoutMs` is unreachable; it delays no other.
 */
export async function* observeMachines(
  context: Context,
  machines: readonly Machine[],
  { timeoutMs }: { timeoutMs: number },
): AsyncGenerator<Observation> {
  const began = performance.now()
  const work = (machine: Machine, signal: AbortSignal) => askMachine(context, machine, signal)
  for await (const outcome of fanOut(machines, work, {
    concurrency: machines.length,
    signal: context.signal,
    timeoutMs,
  })) {
    const answer = 'error' in outcome ? answerOf(outcome.error) : outcome.value
    yield { machine: outcome.machine, took: Math.round(performance.now() - began), ...answer }
  }
}
