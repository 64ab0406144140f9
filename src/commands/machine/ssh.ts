import { UserError, sshFailure } from '../../errors.ts'
import type { Forwards } from '../../operations/forward/open-forwards.ts'
import type { Transport } from '../../transport/transport.ts'
import { type Io, passThroughStreams } from '../../ui/io.ts'
import { type Format, type Targets, any, defineCommand, flag, optional, texts } from '../command.ts'

/** The options that forward ports. */
interface ForwardOptions {
  readonly local: readonly string[]
  readonly remote: readonly string[]
  readonly dynamic: readonly string[]
  readonly forwardOnly: boolean
}

export const ssh = defineCommand({
  name: 'ssh',
  summary: 'Open a shell or run a command on machines',
  description:
    'Open a shell on a machine, or run a command there. Input, output, terminal, signals and the exit code are passed through. As with ssh, everything after the name is the command, including its options; the words are joined with spaces and interpreted by the shell on the machine. Put fleet options before the name. On several machines, the command receives no input, each line of its output is prefixed with the machine name, and the exit code is 1 if it fails on any of them. Port forwarding uses ssh syntax: [address:]port:host:port, where a path on either side is a Unix socket. Port forwarding stops when the command ends.',
  arguments: {
    name: optional('name', 'name of the machine (default: the active one)', 'machine'),
    command: any('command', 'command to run; put -- before it if you do not specify a machine'),
  },
  options: {
    forwardAgent: flag('-A, --forward-agent', 'let the command use your SSH agent'),
    local: texts(
      '-L, --local-forward <[address:]port:host:port>',
      'forward a local port through the machine (repeatable)',
    ),
    remote: texts(
      '-R, --remote-forward <[address:]port[:host:port]>',
      'forward a port on the machine to this computer; with only a port, act as a SOCKS proxy (repeatable)',
    ),
    dynamic: texts(
      '-D, --dynamic-forward <[address:]port>',
      'open a local SOCKS proxy port (repeatable)',
    ),
    forwardOnly: flag(
      '-N, --forward-only',
      'only forward ports, without running a command, until you press Ctrl-C',
    ),
  },
  targets: 'many',
  gathers: true,
  answers: 'json',
  takesRest: true,
  failureCode: sshFailure,
  // Only the client process can listen on forwarded ports.
  runsInBroker: ({ options: { local, remote, dynamic } }) =>
    local.length + remote.length + dynamic.length === 0,
  examples: [
    'fleet ssh web-1',
    'fleet ssh -- uptime',
    'fleet ssh web-1 sudo journalctl -u docker -n 20',
    'fleet ssh --on role=web --fold -- uname -r',
    'fleet ssh -N -L 5432:localhost:5432 db-1',
  ],
  async run({ fleet, io, args, options, targets, format }) {
    const { chooseHosts, choosesMany } =
      await import('../../operations/inventory/choose-machines.ts')
    const isNamed = targets.machine === undefined && !choosesMany(targets)
    const [name, words] =
      isNamed || args.name === undefined
        ? [args.name ?? targets.machine, args.command]
        : [targets.machine, [args.name, ...args.command]]
    const command = words.length === 0 ? undefined : { shell: words.join(' ') }
    const { forwardAgent } = options
    const forwards = await readForwards(options)
    if (options.forwardOnly && command !== undefined)
      throw new UserError('usage', '--forward-only cannot be used with a command')
    if (forwards !== undefined && choosesMany(targets))
      throw new UserError('usage', 'port forwarding works with only one machine at a time')
    const machines = await chooseHosts(fleet, { ...targets, machine: name })
    if (choosesMany(targets)) {
      if (command === undefined) throw new UserError('usage', 'no command specified')
      // The broker must run either the whole command or nothing, so check that all machines are connected first.
      if (fleet.hosted) await Promise.all(machines.map((machine) => fleet.connect(machine)))
      const { runEach } = await import('../multi/run-each.ts')
      const { runLines } = await import('../../operations/fan-out/run-lines.ts')
      return runEach(
        { fleet, io, format, targets },
        machines,
        'the command',
        async (machine, signal, take) =>
          runLines(await fleet.connect(machine), command, signal, take, { forwardAgent }),
      )
    }
    requireMany(targets, format)
    const [machine] = machines
    if (machine === undefined) return undefined
    const transport = await fleet.connect(machine)
    const open = forwards && (await forwardPorts(io, transport, machine.name, forwards))
    try {
      if (options.forwardOnly) return await waitForEnd(io, transport)
      const { runOnHost } = await import('../../operations/fan-out/run-on-host.ts')
      return await runOnHost(transport, command, passThroughStreams(io), { forwardAgent })
    } finally {
      await open?.[Symbol.asyncDispose]()
    }
  },
})

/**
 * Resolves to the port forwards that the options specify, or undefined if there are none. Throws kind `usage` for
 * invalid options.
 */
async function readForwards({
  local,
  remote,
  dynamic,
  forwardOnly,
}: ForwardOptions): Promise<Forwards | undefined> {
  const isForwarding = local.length + remote.length + dynamic.length > 0
  if (forwardOnly && !isForwarding) {
    throw new UserError('usage', '--forward-only requires a port to forward', {
      hint: 'for example: fleet ssh -N -L 8080:localhost:80 web-1',
    })
  }
  if (!isForwarding) return undefined
  const { parseForward } = await import('../../operations/forward/forward-spec.ts')
  return {
    local: [
      ...local.map((forward) => parseForward('-L', forward)),
      ...dynamic.map((forward) => parseForward('-D', forward)),
    ],
    remote: remote.map((forward) => parseForward('-R', forward)),
  }
}

async function forwardPorts(
  io: Io,
  transport: Transport,
  machine: string,
  forwards: Forwards,
): Promise<AsyncDisposable> {
  const { openForwards } = await import('../../operations/forward/open-forwards.ts')
  return await openForwards(transport, machine, forwards, (line) => {
    io.stderr.write(`${line}\n`)
  })
}

/** Waits for Ctrl-C. Always rejects: on Ctrl-C, or when the connection is lost. */
async function waitForEnd({ signal }: Io, { lost }: Transport): Promise<never> {
  const cancelled = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  return await Promise.race([cancelled, lost])
}

/**
 * Refuses options that require several machines. With one machine, the command uses the terminal directly, like ssh.
 */
function requireMany({ timeoutMs, maxFail }: Targets, { json, fold }: Format): void {
  if (timeoutMs === undefined && maxFail === undefined && !json && !fold) return
  throw new UserError(
    'usage',
    '--json, --fold, --timeout and --max-fail can only be used with more than one machine',
    {
      hint: 'select machines with --on or --all',
    },
  )
}
