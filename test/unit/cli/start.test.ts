import { expect, test } from 'vitest'
import { hosted } from '../../../src/cli/start.ts'
import { isGroup } from '../../../src/commands/command.ts'
import { commandList } from '../../../src/commands/index.ts'

test('the client sends the broker exactly the commands that can run in the broker', () => {
  const entries = commandList.flatMap((section) => section.entries)
  const commands = entries.flatMap((entry) => (isGroup(entry) ? [] : entry))
  const able = commands.filter(({ runsInBroker }) => runsInBroker).map(({ name }) => name)
  expect(hosted).toEqual(new Set(able))
})
