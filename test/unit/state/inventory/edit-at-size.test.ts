import { expect, test, vi } from 'vitest'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { parseInventoryDocument } from '../../../../src/state/inventory/document.ts'
import { editInventoryText } from '../../../../src/state/yaml/edit-excerpt.ts'
import { head } from '../../../support/inventory/edit-text.ts'

vi.mock('../../../../src/state/inventory/document.ts', { spy: true })

const entry = (index: number): string => `  # of ${index}
  web-${index}: # ours
    driver: ssh
    labels: { role: web, "env": 'it''s', n: "1" }
    options:
      address: 10.0.0.1
      user: "a\\\\b"
      port: 22
    host:
      phase: ready

      # keys
      hostKeys:
      - ssh-ed25519 AAAA+/==
      created: 2026-01-01T00:00:00.000Z
`
const text = `${head}machines:\n${Array.from({ length: 10_000 }, (_, index) => entry(index)).join('\n')}`

test('an inventory of 10,000 machines is changed in one entry without being parsed completely', () => {
  const name = parseMachineName('web-5000')
  const after = editInventoryText(text, name, { driver: 'x' }, 'f')
  const removed = editInventoryText(text, name, undefined, 'f')
  const added = editInventoryText(removed, name, { driver: 'x' }, 'f')
  const parsed = vi.mocked(parseInventoryDocument).mock.calls.map(([part]) => part.length)
  expect(parsed.length).toBeGreaterThan(0)
  expect(Math.max(...parsed)).toBeLessThan(text.length / 1000)
  const [before, rest] = text.split('  # of 5000\n')
  const [, behind] = text.split('  # of 5001\n')
  expect(after).toBe(
    `${before}  # of 5000\n  web-5000: # ours\n    driver: x\n\n  # of 5001\n${behind}`,
  )
  expect(rest?.startsWith('  web-5000:')).toBe(true)
  expect(removed).toBe(`${before}  # of 5001\n${behind}`)
  expect(added).toBe(`${before}  web-5000:\n    driver: x\n\n  # of 5001\n${behind}`)
})
