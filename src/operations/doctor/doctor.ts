import { findSecrets } from '../../machine/secrets/find-secrets.ts'
import type { Machine } from '../../machine/machine.ts'
import { machinesOf } from '../../machine/stacks.ts'
import { printable } from '../../machine/hidden-characters.ts'
import { memoizeByMachine } from '../../os/memoize.ts'
import { createRedactor } from '../../os/redact.ts'
import type { Environment } from '../../os/environment.ts'
import { UserError } from '../../errors.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { BrokerStatus } from '../../broker/protocol.ts'
import { createHandshakeLimiter, handshakesAtOnce } from '../../transport/ssh/handshake-limiter.ts'
import { describeLogin } from '../connect/describe-login.ts'
import { findJumpHosts } from '../connect/jump-host.ts'
import type { Context } from '../context.ts'
import { requireHost } from '../../machine/machine.ts'
import { askProviders } from '../machine/ask-providers.ts'
import type { Check, ComputerCheck, MachineCheck } from './check.ts'
import {
  type Examination,
  type JumpResult,
  examineMachine,
  logIn,
  unexaminedMachine,
} from './examine-machine.ts'
import { examineComputer } from './examine-computer.ts'
import { type ComputerObservation, judgeComputer } from './judge-computer.ts'
import { problemOf } from './judge-connection.ts'
import { clockOffset } from './judge-host.ts'
import { firstFailure, judgeMachine } from './judge-machine.ts'
import type { Observation } from './observation.ts'

/** The maximum length of the message of a check, in characters. */
const longestMessage = 600

/**
 * Examines this computer and several machines, which share connections to jump hosts. Disposing of it closes these
 * connections.
 */
export interface Doctor extends AsyncDisposable {
  /** Examines this computer. Call it first: the examination of machines uses its result. */
  examineComputer(): Promise<ComputerObservation>
  /** Examines a machine. */
  examine(
    machine: Machine,
    calls: { readonly signal: AbortSignal; readonly progress: (step: string) => void },
  ): Promise<Observation>
  /** The observation of a machine whose examination failed with an error that no check covers. */
  unexamined(machine: Machine, error: unknown): Observation
  /** Judges this computer and all examined machines. */
  judge(
    computer: ComputerObservation,
    observations: readonly Observation[],
  ): {
    readonly computer: readonly ComputerCheck[]
    readonly machines: ReadonlyMap<string, readonly MachineCheck[]>
  }
}

/** The minimum number of hosts whose clocks must agree before this computer's clock is considered wrong. */
const fewestClocks = 3
/** The maximum difference between the clock offsets of hosts that are considered to agree, in seconds. */
const clockSpread = 20

/**
 * The number of seconds by which the hosts' clocks are ahead of this computer's; 0 if they disagree with each other,
 * undefined if there are too few hosts.
 */
export function commonOffset(observations: readonly Observation[]): number | undefined {
  const offsets = observations.flatMap((one) => clockOffset(one) ?? [])
  if (offsets.length < fewestClocks) return undefined
  const [least, most] = [Math.min(...offsets), Math.max(...offsets)]
  return most - least > clockSpread ? 0 : (least + most) / 2
}

/** Creates a function that removes secrets and control characters from the texts of a check. */
function createFilter(env: Environment): <One extends Check>(check: One) => One {
  const redact = createRedactor(findSecrets, env)
  const clean = (text: string) => printable(redact(text), longestMessage)
  return (check) => ({
    ...check,
    message: clean(check.message),
    ...(check.fix !== undefined && { fix: clean(check.fix) }),
  })
}

/**
 * Judges the machines together: if the clocks of all hosts differ from this computer's by about the same amount, the
 * clock of this computer is wrong.
 */
function judgeAll(
  computer: ComputerObservation,
  observations: readonly Observation[],
  env: Environment,
): ReturnType<Doctor['judge']> {
  const filter = createFilter(env)
  const hostsAhead = commonOffset(observations)
  const own = judgeComputer({ ...computer, hostsAhead })
  const isClockWrong = own.some(({ check, state }) => check === 'clock' && state === 'fail')
  const machines = observations.map((one) => {
    const checks = judgeMachine(one).map((check) =>
      isClockWrong && check.check === 'clock' && check.state !== 'ok'
        ? {
            check: check.check,
            state: 'skipped' as const,
            message: "this computer's clock is wrong",
          }
        : check,
    )
    return [one.name, checks.map(filter)] as const
  })
  return { computer: own.map(filter), machines: new Map(machines) }
}

/** The inventory, or the error if it cannot be read. */
async function readInventory(context: Context): Promise<Inventory | UserError> {
  try {
    return await (await context.inventory()).read()
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
}

/** Prepares the examination of `machines`. `home` is fleet's home directory. */
export async function openDoctor(
  context: Context,
  {
    home,
    machines,
    broker: brokerState,
    usesBroker,
  }: {
    readonly home: string
    /** The machines to examine. */
    readonly machines: readonly Machine[]
    readonly broker: BrokerStatus | 'retired' | Error | undefined
    readonly usesBroker: boolean
  },
): Promise<Doctor> {
  const { signal, env } = context
  const inventory = await readInventory(context)
  const isRead = !(inventory instanceof Error)
  const everyMachine = isRead ? [...inventory.machines.values()] : []
  const withStacks = new Set(
    [...(isRead ? inventory.stacks.values() : [])].flatMap((stack) =>
      machinesOf(stack, everyMachine).map(({ name }) => name as string),
    ),
  )
  const enter = createHandshakeLimiter(handshakesAtOnce)
  let composeHere = false
  const shared: Omit<Examination, 'progress' | 'signal'> = {
    context,
    askProvider: askProviders(context, machines),
    broker: typeof brokerState === 'object' && 'hosts' in brokerState ? brokerState : undefined,
    usesBroker,
    enter,
    openJump: (jump) => jumps.get(jump),
    hasStacks: ({ name }) => withStacks.has(name),
    hasComposeHere: () => composeHere,
  }

  /** Logs in to a jump host, through its own jump hosts. */
  const jumps = memoizeByMachine(async (jump: Machine): Promise<JumpResult & AsyncDisposable> => {
    const none = { async [Symbol.asyncDispose]() {} }
    try {
      const host = requireHost(jump)
      if (host.address === undefined) {
        return { transport: await context.connect(jump), ...none }
      }
      const [nearest] = await findJumpHosts(context, jump)
      const before = nearest && (await jumps.get(nearest))
      if (before !== undefined && 'problem' in before) {
        const { message, hint } = before.problem
        return { problem: { message: `its jump host ${nearest?.name}: ${message}`, hint }, ...none }
      }
      const target = await describeLogin(context, { ...jump, host })
      const examination = { ...shared, signal, progress: () => {} }
      const { trial, transport } = await logIn(examination, { ...target, via: before?.transport })
      if (transport !== undefined) {
        return { transport, [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() }
      }
      const provider = await shared.askProvider(jump)
      const cause = firstFailure(
        judgeMachine({
          ...{ name: jump.name, isLocal: false, hasEngine: false, socket: '' },
          ...{ hasStacks: false, composeHere: false, provider, login: trial },
          broker: { state: 'off' },
        }),
      )
      return {
        problem: { message: cause?.message ?? 'the login failed', hint: cause?.fix },
        ...none,
      }
    } catch (error) {
      signal.throwIfAborted()
      return { problem: problemOf(error), ...none }
    }
  })

  return {
    async examineComputer() {
      const found = await examineComputer(context, {
        ...{
          home,
          inventory: isRead ? everyMachine : inventory,
          broker: brokerState,
          usesBroker,
          signal,
        },
      })
      composeHere = found.docker !== undefined && found.docker.compose !== ''
      return found
    },
    examine: (machine, calls) => examineMachine(machine, { ...shared, ...calls }),
    unexamined: unexaminedMachine,
    judge: (computer, observations) => judgeAll(computer, observations, env),
    [Symbol.asyncDispose]: () => jumps.dispose(),
  }
}
