import { UserError } from '../../errors.ts'
import { passThroughStreams } from '../../ui/io.ts'
import { type Format, type Targets, any, defineCommand, optional } from '../command.ts'

/** The same as ssh's (ssh(1), EXIT STATUS). */
const sshFailure = 255

export const ssh = defineCommand({
  name: 'ssh',
  summary: 'Open a shell or run a command on machines',
  description:
    'Open a shell on a machine, or run a command there, with its input, output, terminal, signals and exit code. As with ssh, everything after the name is the command, including its options; the words are joined with spaces and interpreted by the shell on the machine. Put options of fleet before the name. On several machines, the command has no input, each line of its output is prefixed with the name of the machine, and the exit code is 1 if it fails on any of them.',
  arguments: {
    name: optional('name', 'name of the machine (default: the active one)', 'machine'),
    command: any('command', 'command to run; put -- before it if you name no machine'),
  },
  targets: 'many',
  gathers: true,
  answers: 'json',
  takesRest: true,
  failureCode: sshFailure,
  examples: [
    'fleet ssh web-1',
    'fleet ssh -- uptime',
    'fleet ssh web-1 journalctl -u docker -n 20',
    'fleet ssh --on role=web --fold -- uname -r',
  ],
  async run({ fleet, io, args, targets, format }) {
    const { chooseHosts, choosesMany } =
      await import('../../operations/inventory/choose-machines.ts')
    const isNamed = targets.machine === undefined && !choosesMany(targets)
    const [name, words] =
      isNamed || args.name === undefined
        ? [args.name ?? targets.machine, args.command]
        : [targets.machine, [args.name, ...args.command]]
    const command = words.length === 0 ? undefined : { shell: words.join(' ') }
    const machines = await chooseHosts(fleet, { ...targets, machine: name })
    if (choosesMany(targets)) {
      if (command === undefined) throw new UserError('usage', 'give the command to run after --')
      // The broker must run all of it or nothing, so check that all machines are connected first.
      if (fleet.hosted) await Promise.all(machines.map((machine) => fleet.connect(machine)))
      const { runEach } = await import('../multi/run-each.ts')
      const { runLines } = await import('../../operations/fan-out/run-lines.ts')
      return runEach(
        { fleet, io, format, targets },
        machines,
        'it',
        async (machine, signal, take) =>
          runLines(await fleet.connect(machine), command, signal, take),
      )
    }
    requireMany(targets, format)
    const { runOnHost } = await import('../../operations/fan-out/run-on-host.ts')
    const [machine] = machines
    if (machine === undefined) return undefined
    return runOnHost(await fleet.connect(machine), command, passThroughStreams(io))
  },
})

/** Refuses options that need several machines. With one, the command uses the terminal directly, like ssh. */
function requireMany({ timeoutMs, maxFail }: Targets, { json, fold }: Format): void {
  if (timeoutMs === undefined && maxFail === undefined && !json && !fold) return
  throw new UserError('usage', '--json, --fold, --timeout and --max-fail need several machines', {
    hint: 'choose them with --on or --all',
  })
}
