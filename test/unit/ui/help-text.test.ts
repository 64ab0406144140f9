import { expect, test } from 'vitest'
import { styleHelp } from '../../../src/ui/help-text.ts'
import { capturedIo } from '../../support/fake-io.ts'

const help = `Usage: fleet ls [options]

List the machines. This is text.

Options:
  -q, --quiet        print names only
                     and nothing else
  --machine <name>   the machine

Examples:
  fleet ls --live
`

test('help on a terminal has bold headings and colored names', () => {
  const { rendered } = styleHelp(capturedIo({ isTTY: true }).io, help)
  expect(rendered).toContain('\u001B[1mUsage:\u001B[22m fleet ls [options]\n')
  expect(rendered).toContain('\u001B[1mOptions:\u001B[22m\n')
  expect(rendered).toContain('  \u001B[36m-q, --quiet\u001B[39m        print names only\n')
  expect(rendered).toContain('  \u001B[36m--machine <name>\u001B[39m   the machine\n')
  expect(rendered).toContain('\n  fleet ls --live\n')
})

test.each([
  ['a pipe', { isTTY: false }],
  ['NO_COLOR', { isTTY: true, env: { NO_COLOR: '1' } }],
  ['a dumb terminal', { isTTY: true, env: { TERM: 'dumb' } }],
])('help has no styles with %s', (_what, settings) => {
  expect(styleHelp(capturedIo(settings).io, help).rendered).toBe(help)
})
