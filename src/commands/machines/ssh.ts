import { any, defineCommand, optional } from '../definition.ts'

/** As ssh's own (ssh(1), EXIT STATUS). */
const sshFailure = 255

export const ssh = defineCommand({
  name: 'ssh',
  summary: 'Open a shell on a machine, or run a command there',
  description:
    'Open a shell on a machine, or run a command there, with its input, output, terminal, signals and exit code. As with ssh, the words of the command are joined by spaces and read by the shell on the machine.',
  arguments: {
    name: optional('name', 'the machine; the active one if none is named', 'machine'),
    command: any('command', 'what to run, after --'),
  },
  targets: 'one',
  failureCode: sshFailure,
  examples: ['fleet ssh web-1', 'fleet ssh web-1 -- journalctl -u docker -n 20'],
  async run({ fleet, io, args, targets }) {
    const { chooseMachine } = await import('../../operations/choose-machines.ts')
    const { runOnHost } = await import('../../operations/run-on-host.ts')
    const [name, words] =
      targets.machine === undefined || args.name === undefined
        ? [args.name ?? targets.machine, args.command]
        : [targets.machine, [args.name, ...args.command]]
    const transport = await fleet.connect(await chooseMachine(fleet, name))
    return runOnHost(transport, words.length === 0 ? undefined : { shell: words.join(' ') }, io)
  },
})
