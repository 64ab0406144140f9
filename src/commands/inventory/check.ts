import { UserError } from '../../errors.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, flag } from '../command.ts'

export const check = defineCommand({
  name: 'check',
  summary: 'Check the inventory, before a commit or in CI',
  description:
    'Check the inventory for what others would trip over: that it cannot be read, secrets, paths of one computer, machines that are only partly created, jump hosts that lead nowhere, and unknown drivers. The options of a driver that came with the inventory are checked once you trust it (fleet trust). The exit code is 4 where there is a problem. With --install-hook, git runs the check before each commit; an existing pre-commit hook is never overwritten.',
  options: {
    staged: flag('--staged', 'the inventory as the next commit will have it'),
    installHook: flag('--install-hook', 'a pre-commit hook of git that runs the check'),
  },
  answers: 'json',
  examples: ['fleet check', 'fleet check --staged', 'fleet check --install-hook'],
  async run({ fleet, io, options, format }) {
    if (options.installHook) {
      if (options.staged) throw new UserError('usage', 'give either --staged or --install-hook')
      const { installPreCommitHook } = await import('../../state/merge/pre-commit-hook.ts')
      const { file, isNew } = await installPreCommitHook(
        (await fleet.inventory()).location,
        fleet.env,
      )
      if (format.json) writeJson(io, { hook: file, installed: isNew })
      else if (isNew)
        io.stderr.write(`installed ${file}: git runs fleet check before each commit\n`)
      else io.stderr.write(`${file} runs fleet check already\n`)
      return
    }
    const { checkShared } = await import('../../operations/inventory/check-inventory.ts')
    const { location, machines, unchecked } = await checkShared(fleet, options)
    for (const { message, hint } of unchecked) {
      io.stderr.write(`not checked: the options of a driver: ${message}\n  ${hint}\n`)
    }
    if (format.json) writeJson(io, { location, machines })
    else io.stderr.write(`${location}: nothing wrong (machines: ${machines})\n`)
  },
})
