import { UserError } from '../../errors.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, flag } from '../command.ts'

export const check = defineCommand({
  name: 'check',
  summary: 'Check the inventory for mistakes and secrets',
  description:
    'Check the inventory before a commit or in CI. The check finds syntax errors, secrets, paths that exist on only one computer, partly created machines, jump hosts that do not exist, swarms without managers, and unknown drivers. If the inventory ships a driver package, options for that driver are checked only after you trust the package (fleet trust). The exit code is 4 if there is a problem. With --install-hook, git runs the check before each commit; an existing pre-commit hook is never overwritten.',
  options: {
    staged: flag('--staged', 'check the staged version of the inventory'),
    installHook: flag('--install-hook', 'install a pre-commit hook that runs the check'),
  },
  answers: 'json',
  examples: ['fleet check', 'fleet check --staged', 'fleet check --install-hook'],
  async run({ fleet, io, options, format }) {
    if (options.installHook) {
      if (options.staged)
        throw new UserError('usage', '--staged and --install-hook cannot be combined')
      const { installPreCommitHook } = await import('../../state/merge/pre-commit-hook.ts')
      const { file, isNew } = await installPreCommitHook(
        (await fleet.inventory()).location,
        fleet.env,
      )
      if (format.json) writeJson(io, { hook: file, installed: isNew })
      else if (isNew)
        io.stderr.write(`installed ${file}: git will run fleet check before each commit\n`)
      else io.stderr.write(`${file} already runs fleet check\n`)
      return
    }
    const { checkShared } = await import('../../operations/inventory/check-shared-inventory.ts')
    const { location, machines, unchecked, warnings } = await checkShared(fleet, options)
    for (const { message, hint } of unchecked) {
      io.stderr.write(`driver options were not checked: ${message}\n  ${hint}\n`)
    }
    for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
    if (format.json) writeJson(io, { location, machines })
    else io.stderr.write(`${location}: no problems found (machines: ${machines})\n`)
  },
})
