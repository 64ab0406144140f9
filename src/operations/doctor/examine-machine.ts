import type { BrokerStatus } from '../../broker/protocol.ts'
import { UserError } from '../../errors.ts'
import {
  type Machine,
  type ReadyMachine,
  defaultSocket,
  requireHost,
  socketOf,
} from '../../machine/machine.ts'
import { pause } from '../../os/retry.ts'
import { ignored } from '../../os/trace.ts'
import type { SshTarget } from '../../transport/ssh/connect.ts'
import { limiterKey } from '../../transport/ssh/handshake-limiter.ts'
import type { OpenTrial } from '../../transport/ssh/try-login.ts'
import type { Transport } from '../../transport/transport.ts'
import { describeLogin } from '../connect/describe-login.ts'
import { findJumpHosts } from '../connect/jump-host.ts'
import { firewallError } from '../connect/resolve-moved-host.ts'
import type { Context } from '../context.ts'
import type { ProviderAnswer } from '../machine/ask-providers.ts'
import { problemOf, wantedSessions } from './judge-connection.ts'
import { logInAgain } from './log-in.ts'
import type { Observation, Problem } from './observation.ts'
import {
  askEngine,
  probeLargeMessages,
  probeShell,
  readHostFacts,
  runsCommands,
} from './probe-host.ts'

/** The context of a machine's examination. Everything but `progress` and `signal` is shared by all machines. */
export interface Examination {
  readonly context: Context
  /** Reports the current step. */
  readonly progress: (step: string) => void
  readonly signal: AbortSignal
  readonly askProvider: (machine: Machine) => Promise<ProviderAnswer>
  /** The state of the broker; undefined if it is not running. */
  readonly broker: BrokerStatus | undefined
  readonly usesBroker: boolean
  /**
   * Limits the number of simultaneous logins at one server. When a login may start, resolves to a function that the
   * caller must call after the login.
   */
  readonly enter: (key: string) => Promise<() => void>
  /** Connects to a jump host. Several machines share the connection. */
  readonly openJump: (jump: Machine) => Promise<JumpResult>
  readonly hasStacks: (machine: Machine) => boolean
  /** Whether Docker Compose is installed on this computer. */
  readonly hasComposeHere: () => boolean
}

/** The connection to a jump host, or the reason why there is none. */
export type JumpResult = { readonly transport: Transport } | { readonly problem: Problem }

type Parts = { -readonly [Key in keyof Observation]: Observation[Key] }

/** How long the provider may take to answer, in milliseconds. */
const providerMs = 15_000
/** How long a command over the broker's connection may take, in milliseconds. */
const brokerMs = 8_000

/** How long a server may take to open several sessions, in milliseconds. */
const sessionsMs = 12_000
/** How long a server may continue to count sessions that have been closed, in milliseconds. */
const countDownMs = 1_500

async function within<Value>(ms: number, work: Promise<Value>, otherwise: Value): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Value>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** The observation of a machine whose examination failed with an error that no check covers. */
export const unexaminedMachine = (machine: Machine, error: unknown): Observation => ({
  ...{ name: machine.name, isLocal: false, hasEngine: machine.engine !== 'none' },
  ...{ socket: defaultSocket, hasStacks: false, composeHere: false },
  ...{ record: problemOf(error), broker: { state: 'off' } },
})

/** The problem with a record that does not identify a host; undefined if it does. */
function recordProblem(machine: Machine): Problem | undefined {
  try {
    requireHost(machine)
    return undefined
  } catch (error) {
    return problemOf(error)
  }
}

/** Examines a host over a connection. The steps are ordered so that a problem can affect only later steps. */
async function examineHost(
  seen: Parts,
  {
    transport,
    countSessions,
  }: Pick<OpenTrial, 'countSessions'> & { readonly transport: Transport },
  { release, examination }: { release: string | undefined; examination: Examination },
): Promise<void> {
  const { signal, progress } = examination
  if (!seen.isLocal) {
    progress('run a command')
    seen.shell = await probeShell(transport, signal)
    if (seen.shell.problem !== undefined) return
    progress('send large packets')
    seen.large = await probeLargeMessages(transport, signal)
    if (seen.large.sent === 'lost' || seen.large.received === 'lost') return
  }
  if (seen.hasEngine) {
    progress('query the engine')
    seen.engine = await askEngine(transport, {
      ...{ socket: seen.socket, machine: seen.name, release, signal },
    })
  }
  progress('inspect the host')
  const dataRoot = seen.engine && 'dataRoot' in seen.engine ? seen.engine.dataRoot : undefined
  const from = Date.now() / 1000
  const read = await readHostFacts(transport, {
    ...{ socket: seen.socket, signal },
    ...(dataRoot !== undefined && { dataRoot }),
  })
  seen.asked = { from, to: Date.now() / 1000 }
  if ('problem' in read) seen.shell = { noise: '', ...seen.shell, problem: read.problem }
  else seen.facts = read.facts
  if (countSessions === undefined) return
  // This step comes last: afterwards, a server may still count the closed sessions, and refuse new ones.
  progress('count sessions')
  const limit = AbortSignal.any([signal, AbortSignal.timeout(sessionsMs)])
  const first = await countSessions(wantedSessions, limit)
  seen.sessions = first
  if (first.refused === 0) return
  await pause(countDownMs, signal)
  const second = await countSessions(wantedSessions, limit)
  if (second.opened > first.opened) seen.sessions = second
}

/** Examines a machine over the broker's connection. Reads facts about the host only if a new login failed. */
async function examineBroker(
  seen: Parts,
  machine: ReadyMachine,
  { context, signal, progress, broker, usesBroker }: Examination,
): Promise<void> {
  if (!usesBroker) return
  const isOpen = broker?.hosts.some(
    ({ machine: name, state }) => name === machine.name && state === 'connected',
  )
  seen.broker = { state: isOpen === true ? 'connected' : 'none' }
  if (isOpen !== true) return
  progress("check the broker's connection")
  const work = async (): Promise<Observation['broker']> => {
    const transport = await context.connect(machine)
    const answers = await runsCommands(transport, { limitMs: brokerMs, signal })
    const isNeeded = answers && seen.login?.failure !== undefined
    if (!isNeeded) return { state: 'connected', answers }
    const read = await readHostFacts(transport, { socket: seen.socket, signal })
    return { state: 'connected', answers, facts: 'facts' in read ? read.facts : undefined }
  }
  const working = work().catch((error: unknown) => {
    signal.throwIfAborted()
    ignored('broker', `use the broker's connection to ${machine.name}`)(error)
    return { state: 'connected', answers: false } as const
  })
  seen.broker = await within(brokerMs * 3, working, { state: 'connected', answers: false })
}

/** Whether the port of a host did not respond. */
const isUnanswered = ({ failure }: OpenTrial['trial']): boolean =>
  failure?.step === 'port' && failure.reason === 'silent'

/** The reason why the provider's firewall blocks this computer, if it does. */
async function findFirewall(
  machine: ReadyMachine,
  { context, signal }: Examination,
): Promise<Problem | undefined> {
  const call = { signal, progress: () => {} }
  const asking = firewallError(context, machine, call).catch(
    ignored('driver', `query ${machine.name}'s firewall`),
  )
  const error = await within(providerMs, asking, undefined)
  return error && problemOf(error)
}

/**
 * Examines a machine over a new connection, step by step. Problems with the host are part of the result, never thrown.
 */
export async function examineMachine(
  machine: Machine,
  examination: Examination,
): Promise<Observation> {
  const { context, signal, progress, askProvider } = examination
  const { host } = machine
  const record = recordProblem(machine)
  const seen: Parts = {
    name: machine.name,
    isLocal: host?.phase === 'ready' && host.address === undefined,
    hasEngine: machine.engine !== 'none',
    socket: record === undefined ? socketOf(machine) : defaultSocket,
    hasStacks: examination.hasStacks(machine),
    composeHere: examination.hasComposeHere(),
    record,
    broker: { state: examination.usesBroker ? 'none' : 'off' },
  }
  if (record !== undefined || host === undefined) return seen
  const ready: ReadyMachine = { ...machine, host }
  if (seen.isLocal) {
    const transport = await context.connect(machine).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error
      seen.record = problemOf(error)
    })
    if (transport !== undefined) {
      await examineHost(seen, { transport }, { release: host.engine, examination })
    }
    return seen
  }

  progress('query the provider')
  const notAsked = { state: 'not-asked' } as const
  seen.provider = await within<ProviderAnswer>(providerMs, askProvider(machine), notAsked)
  const [nearest] = await findJumpHosts(context, machine).catch((error: unknown) => {
    seen.route = problemOf(error)
    return []
  })
  let via: Transport | undefined
  if (nearest !== undefined) {
    progress(`connect to the jump host ${nearest.name}`)
    const jump = await examination.openJump(nearest)
    seen.jump = { name: nearest.name, ...('problem' in jump && { problem: jump.problem }) }
    if ('problem' in jump) return seen
    via = jump.transport
  }
  const target = await describeLogin(context, ready).catch((error: unknown) => {
    seen.route = problemOf(error)
  })
  if (target === undefined || seen.route !== undefined) return seen

  progress('log in')
  const open = await logIn(examination, { ...target, via })
  seen.login = open.trial
  const { transport } = open
  try {
    if (transport !== undefined) {
      await examineHost(seen, { ...open, transport }, { release: host.engine, examination })
    } else if (isUnanswered(open.trial) && via === undefined) {
      seen.firewall = await findFirewall(ready, examination)
    }
    await examineBroker(seen, ready, examination)
  } finally {
    await within(1_000, Promise.resolve(transport?.[Symbol.asyncDispose]()), undefined)
    signal.throwIfAborted()
  }
  return seen
}

/** Logs in over a new connection, with a limit on simultaneous logins at one server. */
export async function logIn(
  { context, signal, enter }: Examination,
  target: SshTarget,
): Promise<OpenTrial> {
  const leave = await enter(target.via === undefined ? limiterKey(target) : 'through jump hosts')
  try {
    return await logInAgain(target, { env: context.env, signal })
  } finally {
    leave()
  }
}
