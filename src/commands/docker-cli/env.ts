import { defineCommand, flag, optional, text } from '../command.ts'

export const env = defineCommand({
  name: 'env',
  summary: 'Print variables that connect docker to a machine',
  description:
    'Print shell commands that set DOCKER_HOST, so that docker, docker compose, docker buildx and other programs connect to a machine. Connections use a local socket that stays open until you close the terminal.',
  arguments: {
    name: optional('name', 'name of the machine or swarm (default: the active machine)', 'machine'),
  },
  options: {
    shell: text(
      '--shell <name>',
      'bash, zsh, fish, powershell, cmd, nushell or elvish (default: detected)',
      'shell',
    ),
    unset: flag('-u, --unset', 'print commands that unset the variables'),
    bypassProxy: flag('--bypass-proxy', "add the machine's address to NO_PROXY"),
  },
  targets: 'one',
  examples: [
    'eval "$(fleet env web-1)"',
    'fleet env web-1 | source',
    'eval "$(fleet env --unset)"',
  ],
  async run({ fleet, io, args, options, targets }) {
    const { chooseShell, clearedEnvironment, describeEnvironment } =
      await import('../../operations/docker/shell-environment.ts')
    const { howToUse, writeChange } = await import('../../operations/docker/shells.ts')
    const { chooseMachineOrManager } = await import('../../operations/inventory/choose-machines.ts')
    const shell = await chooseShell(options.shell, io.env)
    const change = options.unset
      ? clearedEnvironment
      : await describeEnvironment(
          fleet,
          await chooseMachineOrManager(fleet, args.name ?? targets.machine),
          {
            bypassProxy: options.bypassProxy,
          },
        )
    io.stdout.write(writeChange(shell, change))
    if (io.stdout.isTTY) {
      const typed = ['fleet env', args.name, options.shell && `--shell ${options.shell}`]
      const command = [...typed, options.unset && '--unset'].filter(Boolean).join(' ')
      io.stderr.write(`to configure your shell, run: ${howToUse(shell, command, options.unset)}\n`)
    }
  },
})
