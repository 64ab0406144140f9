import { defineCommand, flag, optional, text } from '../command.ts'

export const env = defineCommand({
  name: 'env',
  summary: 'Make this shell’s docker use a machine',
  description:
    'Print what makes docker, compose, buildx and everything else that reads DOCKER_HOST use a machine, for the shell to read. The engine is reached through a socket on this computer, which stays as long as the terminal.',
  arguments: { name: optional('name', 'the machine; the active one if none is named', 'machine') },
  options: {
    shell: text(
      '--shell <name>',
      'bash, zsh, fish, powershell, cmd, nushell or elvish; found out if not named',
      'shell',
    ),
    unset: flag('--unset', 'print what undoes it'),
    bypassProxy: flag(
      '--bypass-proxy',
      'reach the machine without the proxy: adds its address to NO_PROXY',
    ),
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
    const { chooseMachine } = await import('../../operations/inventory/choose-machines.ts')
    const shell = await chooseShell(options.shell, io.env)
    const change = options.unset
      ? clearedEnvironment
      : await describeEnvironment(fleet, await chooseMachine(fleet, args.name ?? targets.machine), {
          bypassProxy: options.bypassProxy,
        })
    io.stdout.write(writeChange(shell, change))
    if (io.stdout.isTTY) {
      const typed = ['fleet env', args.name, options.shell && `--shell ${options.shell}`]
      const command = [...typed, options.unset && '--unset'].filter(Boolean).join(' ')
      io.stderr.write(`to use it, type: ${howToUse(shell, command, options.unset)}\n`)
    }
  },
})
