import { expect, test } from 'vitest'
import { hosted } from '../../../src/cli/start.ts'
import { isGroup } from '../../../src/commands/command.ts'
import { commandList } from '../../../src/commands/index.ts'

test('the broker is asked to run exactly the commands that it can run', () => {
  const entries = commandList.flatMap((section) => section.entries)
  const commands = entries.flatMap((entry) => (isGroup(entry) ? [] : entry))
  const able = commands.filter(({ runsInBroker }) => runsInBroker).map(({ name }) => name)
  expect(hosted).toEqual(new Set(able))
})
