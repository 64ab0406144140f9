import { writeJson } from '../../ui/table.ts'
import { defineCommand, flag } from '../definition.ts'

export const check = defineCommand({
  name: 'check',
  summary: 'Check the inventory, before a commit or in CI',
  description:
    'Check the inventory for what others would trip over: that it cannot be read, secrets, paths of one computer, machines half made, ways that lead nowhere, drivers that are not known. The options of a driver that came with the inventory are checked once you trust it (fleet trust). Exit code 4 where there is something. As a git hook: echo "fleet check --staged" > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit',
  options: { staged: flag('--staged', 'what the next commit will have, not what is on disk') },
  answers: 'json',
  examples: ['fleet check', 'fleet check --staged'],
  async run({ fleet, io, options, format }) {
    const { checkShared } = await import('../../operations/check-inventory.ts')
    const { location, machines, unchecked } = await checkShared(fleet, options)
    for (const { message, hint } of unchecked) {
      io.stderr.write(`not checked: the options of a driver: ${message}\n  ${hint}\n`)
    }
    if (format.json) writeJson(io, { location, machines })
    else io.stderr.write(`${location}: nothing wrong (machines: ${machines})\n`)
  },
})
