import { expect, test } from 'vitest'
import { asksForJson, failureCodeFor } from '../../../src/cli/argv.ts'
import { commonOptions } from '../../../src/commands/options/common-options.ts'

test.each(Object.values(commonOptions).map(({ flags }) => flags))(
  'the command after the common option %s has its own exit code for failures',
  (flags) => {
    for (const flag of flags.replace(/ <.*/, '').split(', ')) {
      const words = flags.includes('<') ? [flag, 'run'] : [flag]
      expect(failureCodeFor([...words, 'ssh', 'web-1'])).toBe(255)
      expect(failureCodeFor([...words, 'exec', 'app'])).toBe(125)
      expect(failureCodeFor([...words, 'ls'])).toBe(1)
    }
  },
)

test.each([
  ['ls --json', true],
  ['--json ls', true],
  ['ls -- --json', false],
  ['--json exec app true', true],
  ['exec app tool --json', false],
  ['ssh web-1 tool --json', false],
])('%j asks for errors as JSON: %s', (line, expected) => {
  expect(asksForJson(line.split(' '))).toBe(expected)
})
