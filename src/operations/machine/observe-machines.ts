import { readInfo } from '../../engine/system.ts'
import type { UserError } from '../../errors.ts'
import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import type { MachineState } from '../../machine/selector.ts'
import { type ProviderAnswer, askProviders } from './ask-providers.ts'
import type { Context } from '../context.ts'
import { findOtherClient } from '../connect/ssh-client.ts'
import { fanOut } from '../fan-out/fan-out.ts'
import { ignored } from '../../os/trace.ts'
import { inOrder } from './in-order.ts'

/** The current state of a machine. */
export interface Observation {
  readonly machine: Machine
  /**
   * `running`: the host answers, and so does its engine, if it should have one. `no-engine`: the host answers, but its
   * engine does not. The states `paused`, `stopped`, `starting`, `stopping` and `absent` are reported by the provider.
   */
  readonly state: MachineState
  /** The reason why the machine is not running. */
  readonly reason?: string
  readonly engine?: string
  readonly containers?: { readonly running: number; readonly all: number }
  readonly images?: number
  readonly os?: string
  readonly arch?: string
  /** The SSH client, if it is not fleet's own. */
  readonly sshClient?: string
  readonly sshClientReason?: string
  /** How long the query took, in milliseconds. */
  readonly took: number
}

type ObservedState = Omit<Observation, 'machine' | 'took'>

/** The progress of querying one machine. */
interface Question {
  readonly began: number
  /** Whether the login has succeeded. */
  reached: boolean
  /** The answer of the provider. */
  provider?: ProviderAnswer
}

/** The reason why a machine did not answer, followed by the reason why its provider could not be queried, if any. */
function reasonOf({ message }: UserError, provider: ProviderAnswer | undefined): string {
  const why = provider?.state === 'not-asked' ? provider.why : undefined
  return why === undefined ? message : `${message} (${why})`
}

/**
 * The default number of machines that are queried at the same time. A handshake takes about 10 ms of processor time:
 * with many more machines, this computer would become too slow to meet the time limit.
 */
const defaultConcurrency = 128

/** Queries a machine, at the current address if its provider has reported one. */
async function askMachine(
  context: Context,
  { host, ...machine }: ReadyMachine,
  { address = host.address }: { readonly address?: string | undefined },
  { question, signal }: { question: Question; signal: AbortSignal },
): Promise<ObservedState> {
  const now = { ...machine, host: { ...host, ...(address !== undefined && { address }) } }
  await context.connect(now)
  question.reached = true
  if (machine.engine === 'none') return { state: 'running' }
  const engine = await context.engine(now)
  const info = await readInfo(engine, signal)
  return {
    state: 'running',
    engine: info.ServerVersion,
    containers: { running: info.ContainersRunning, all: info.Containers },
    images: info.Images,
    os: info.OperatingSystem,
    arch: info.Architecture,
  }
}

/** The state of a machine; undefined if it can be determined only by connecting. */
function stateWithoutLogin(status: ProviderAnswer): ObservedState | undefined {
  switch (status.state) {
    case 'paused':
    case 'stopped':
    case 'starting':
    case 'stopping':
    case 'absent':
      return { state: status.state }
    case 'running':
    case 'unknown':
    case 'not-asked':
      return undefined
  }
}

/**
 * Queries the state of machines in parallel, and yields the answers in the order of the machines. Machines that have
 * not answered after `timeoutMs` are reported as unreachable. Providers are asked first, each once for all of its
 * machines. `onAnswer` is called for each machine as soon as it has answered.
 */
export async function* observeMachines(
  context: Context,
  machines: readonly Machine[],
  {
    timeoutMs,
    concurrency = defaultConcurrency,
    onAnswer,
  }: {
    timeoutMs: number
    concurrency?: number | undefined
    onAnswer?: (machine: string) => void
  },
): AsyncGenerator<Observation> {
  const questions = new Map<Machine, Question>()
  const askProvider = askProviders(context, machines)
  const ask = async (machine: Machine, signal: AbortSignal): Promise<ObservedState> => {
    const question: Question = { began: context.clock.now(), reached: false }
    questions.set(machine, question)
    const { host } = machine
    if (host === undefined) return { state: 'not-created' }
    if (host.phase !== 'ready') return { state: host.phase }
    const status = await askProvider(machine)
    question.provider = status
    const where = 'address' in status ? status : {}
    return (
      stateWithoutLogin(status) ??
      (await askMachine(context, { ...machine, host }, where, { question, signal }))
    )
  }
  const { signal, clock } = context
  const timeLimit = { ms: timeoutMs, clock }
  async function* answers(): AsyncGenerator<Observation, void> {
    for await (const outcome of fanOut(machines, ask, { concurrency, signal, timeLimit })) {
      const { machine } = outcome
      const { began = 0, reached = false, provider } = questions.get(machine) ?? {}
      const answer: ObservedState =
        'error' in outcome
          ? {
              state: reached ? 'no-engine' : 'unreachable',
              reason: reasonOf(outcome.error, provider),
            }
          : outcome.value
      onAnswer?.(machine.name)
      const client = await findOtherClient(context, machine).catch(
        ignored('ssh', 'choose the SSH client'), // connecting reports the error
      )
      yield { machine, took: Math.round(clock.now() - began), ...answer, ...client }
    }
  }
  yield* inOrder(machines, answers())
}
