import { type BrokerClient } from '../../broker/client/client.ts'
import type { ForwardStatus, PortForward } from '../../broker/protocol.ts'
import { formatLocal } from '../../broker/server/forwards.ts'
import { UserError, messageOf } from '../../errors.ts'
import { type Machine, socketOf } from '../../machine/machine.ts'
import { describeTarget } from '../connect/broker-target.ts'
import type { Context } from '../context.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import { checkTarget, openTarget } from './dial-target.ts'
import { listenAndJoin } from './listen-and-join.ts'

/** Checks that the containers exist and are running. Throws kind `failed` otherwise. */
export async function checkForwards(
  context: Context,
  machine: Machine,
  forwards: readonly PortForward[],
): Promise<void> {
  const engine = await context.engine(machine)
  for (const { target } of forwards) await checkTarget(target, engine)
}

/**
 * Forwards ports in the broker, until the forwards are stopped there. Throws kind `failed` if one of them cannot be
 * opened.
 */
export async function keepForwards(
  context: Context,
  broker: BrokerClient,
  machine: Machine,
  forwards: readonly PortForward[],
): Promise<readonly ForwardStatus[]> {
  await context.connect(machine)
  // While connecting, fleet may have found the host at a new address.
  const current = findMachine(await (await context.inventory()).read(), machine.name)
  const { env, signal, prompt } = context
  const target = await describeTarget(context, current)
  const host = { target, env, path: socketOf(current) }
  return broker.forward(host, forwards, { env, signal, prompt })
}

/** Forwards that exist until they are disposed of. */
interface OwnForwards extends AsyncDisposable {
  readonly opened: readonly ForwardStatus[]
  /** Rejects when the connection to the host is lost. */
  readonly lost: Promise<never>
}

/**
 * Forwards ports from this process, either all of them or none. For each connection that fails, `report` is called with
 * the reason. Throws kind `failed` if a forward cannot be opened.
 */
export async function openOwnForwards(
  context: Context,
  machine: Machine,
  forwards: readonly PortForward[],
  report: (line: string) => void,
): Promise<OwnForwards> {
  const transport = await context.connect(machine)
  const engine = await context.engine(machine)
  const ports: AsyncDisposable[] = []
  const opened: ForwardStatus[] = []
  const dispose = async () => {
    await Promise.all(ports.map((port) => port[Symbol.asyncDispose]()))
  }
  const openOne = async ({ listen, orAnyPort, target }: PortForward): Promise<void> => {
    const dialTarget = openTarget(target, engine)
    const dial = async () => {
      try {
        return await dialTarget(transport)
      } catch (error) {
        report(`${machine.name}: ${messageOf(error)}`)
        throw error
      }
    }
    const listening = await listenAndJoin(listen, dial).catch((error: unknown) => {
      if (orAnyPort !== true || !('port' in listen)) throw error
      return listenAndJoin({ ...listen, port: 0 }, dial)
    })
    ports.push(listening)
    const local = 'path' in listen ? listen : { ...listen, port: listening.port ?? listen.port }
    opened.push({
      local: formatLocal(local),
      machine: machine.name,
      ...(target.container !== undefined && { container: target.container }),
      port: target.port,
      connections: 0,
    })
  }
  try {
    for (const forward of forwards) await openOne(forward)
    return { opened, lost: transport.lost, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/**
 * The forwards that the arguments select. An argument is a local port, address or socket, or the name of a machine,
 * which selects all of its forwards. Throws kind `usage` for an argument that selects none.
 */
export function chooseForwards(
  forwards: readonly ForwardStatus[],
  words: readonly string[],
): readonly ForwardStatus[] {
  const chosen = words.flatMap((word) => {
    const found = forwards.filter(
      ({ local, machine }) =>
        local === word || machine === word || (/^\d+$/.test(word) && local.endsWith(`:${word}`)),
    )
    if (found.length > 0) return found
    throw new UserError('usage', `nothing is forwarded from or to ${JSON.stringify(word)}`, {
      hint: 'to list the forwarded ports: fleet forward ls',
    })
  })
  return [...new Set(chosen)]
}
