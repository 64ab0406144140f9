import { resolve } from 'node:path'
import type { ForwardStatus, PortForward } from '../../broker/protocol.ts'
import { UserError } from '../../errors.ts'
import { type Machine, requireHost } from '../../machine/machine.ts'
import { writeRows } from '../../ui/table.ts'
import { type Invocation, any, defineCommand, flag, required, text } from '../command.ts'
import { forwardColumns } from './columns.ts'

/** The options of {@link start} that say what to forward. */
interface Asked {
  readonly published: boolean
  readonly address: string | undefined
  readonly socket: string | undefined
}

/** Parses the options that say what to forward. Throws kind `usage` if they are invalid. */
async function readForwards(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  { published, address = '127.0.0.1', socket }: Asked,
  { machine, container }: { readonly machine: Machine; readonly container: string | undefined },
  ports: readonly string[],
): Promise<readonly PortForward[]> {
  const { parsePortForward, publishedForwards, readAddress } =
    await import('../../operations/forward/port-forwards.ts')
  if (published && (ports.length > 0 || socket !== undefined))
    throw new UserError('usage', '--published cannot be combined with ports or --socket')
  if (!published && ports.length === 0) {
    throw new UserError('usage', 'no port specified', {
      hint: `for example: fleet forward ${machine.name} 8080:80, fleet forward ${machine.name} db:5432, or --published`,
    })
  }
  const host = readAddress(address)
  if (socket !== undefined && ports.length > 1)
    throw new UserError('usage', '--socket can forward only one port')
  if (!published) {
    const local = socket === undefined ? { address: host } : { path: resolve(io.cwd, socket) }
    return ports.map((port) => parsePortForward(port, local, container))
  }
  const found = await publishedForwards(await fleet.engine(machine), host, container)
  if (found.length > 0) return found
  throw new UserError('failed', 'no running container publishes a TCP port', {
    machine: machine.name,
    hint: `to list containers and their ports: fleet -m ${machine.name} ps`,
  })
}

/** Waits for Ctrl-C. Always rejects: on Ctrl-C, or when the connection is lost. */
async function waitForEnd(signal: AbortSignal, lost: Promise<never>): Promise<never> {
  const cancelled = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  return await Promise.race([cancelled, lost])
}

export const start = defineCommand({
  name: 'start',
  summary: 'Forward local ports to a machine or its containers',
  description:
    "Forward ports on this computer to a machine, or to containers on it, through SSH. Container ports need not be published. Specify each port as [LOCAL:][CONTAINER:]PORT. Without LOCAL, PORT is also used as the local port; if LOCAL is 0, the operating system chooses a free port. For each connection, fleet looks up the container again by name, ID or Compose service, so the container can be restarted or replaced. The command returns once the ports are open; fleet's background process (the broker) forwards them until you run fleet forward stop. With --foreground, or without the broker, ports are forwarded until you press Ctrl-C. All users of this computer can connect to local ports; only you can connect to a socket (--socket).",
  arguments: {
    machine: required('machine', 'machine, or MACHINE/CONTAINER', 'machine'),
    ports: any('ports', 'ports to forward, as [LOCAL:][CONTAINER:]PORT', 'forwarded-port'),
  },
  options: {
    published: flag(
      '--published',
      'forward every published port from the local port with the same number, if it is free',
    ),
    address: text('--address <address>', 'local address to listen on (default: 127.0.0.1)'),
    socket: text('--socket <path>', 'listen on a local Unix socket instead of a port', 'file'),
    foreground: flag(
      '-f, --foreground',
      'forward ports without using the broker, until you press Ctrl-C',
    ),
  },
  examples: [
    'fleet forward web-1 8080:80',
    'fleet forward web-1 db:5432 15433:replica:5432',
    'fleet forward web-1 --published',
    'fleet forward web-1 db:5432 --socket ./db.sock',
    'fleet forward ls',
    'fleet forward stop 8080',
  ],
  async run({ fleet, io, args, options, format }) {
    const { findMachine } = await import('../../operations/inventory/choose-machines.ts')
    const { checkForwards, keepForwards, openOwnForwards } =
      await import('../../operations/forward/keep-forwards.ts')
    const [name = '', container] = args.machine.split(/\/(.*)/s)
    const machine = findMachine(await (await fleet.inventory()).read(), name)
    const isHere = requireHost(machine).address === undefined
    const forwards = await readForwards(
      { fleet, io },
      options,
      { machine, container: container || undefined },
      args.ports,
    )
    if (forwards.some(({ target }) => target.container !== undefined))
      await checkForwards(fleet, machine, forwards)
    const write = (rows: readonly ForwardStatus[]) =>
      writeRows(io, format, { rows, columns: forwardColumns })
    const broker = options.foreground || isHere ? undefined : await fleet.broker()
    if (broker !== undefined) {
      await write(await keepForwards(fleet, broker, machine, forwards))
      return
    }
    await using own = await openOwnForwards(fleet, machine, forwards, (line) => {
      io.stderr.write(`${line}\n`)
    })
    await write(own.opened)
    io.stderr.write('forwarding until you press Ctrl-C\n')
    await waitForEnd(io.signal, own.lost)
  },
})
