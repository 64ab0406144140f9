import { UserError } from '../../errors.ts'
import { defineCommand, required } from '../command.ts'
import { type Shell, completionScripts } from './scripts.ts'

const shells = Object.keys(completionScripts) as Shell[]

const isShell = (text: string): text is Shell => Object.hasOwn(completionScripts, text)

export const completion = defineCommand({
  name: 'completion',
  summary: 'Print the completion script for a shell',
  arguments: { shell: required('shell', `one of ${shells.join(', ')}`, 'completed-shell') },
  examples: [
    'source <(fleet completion bash)',
    'fleet completion zsh > "${fpath[1]}/_fleet"',
    'fleet completion fish > ~/.config/fish/completions/fleet.fish',
    'fleet completion powershell | Out-String | Invoke-Expression',
  ],
  run: async ({ io, args }) => {
    if (!isShell(args.shell)) {
      throw new UserError('usage', `unsupported shell ${JSON.stringify(args.shell)}`, {
        hint: `supported shells: ${shells.join(', ')}`,
      })
    }
    io.stdout.write(completionScripts[args.shell])
  },
})
