import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findHiddenIn } from '../../../../src/machine/hidden-characters.ts'
import { editText, fleet, remove } from '../../../support/inventory/edit-text.ts'

describe('any sequence of changes', () => {
  const names = fc.constantFrom('a', 'api-1', 'b2', 'db-1', 'm', 'web-1', 'web-10', 'z')
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom('a: b', '# c', '- x', '3', '{', ' '),
  )
  const anyJson = fc
    .json({ maxDepth: 2 })
    .filter((json) => !json.includes('__proto__'))
    .map((json): unknown => JSON.parse(json))
    .filter((value) => findHiddenIn(value) === undefined)
  const entries = fc.record(
    {
      driver: fc.constantFrom('ssh', 'local'),
      labels: fc.dictionary(fc.constantFrom('role', 'env', 'rack', 'x'), text, {
        noNullPrototype: true,
      }),
      options: fc.dictionary(
        fc.constantFrom('k', 'l'),
        fc.oneof(
          anyJson,
          anyJson.map((value) => ({ '<<': value })),
        ),
        { noNullPrototype: true },
      ),
      protected: fc.boolean(),
      host: fc.record(
        {
          phase: fc.constant('ready' as const),
          address: fc.constantFrom('10.0.0.1', '::1'),
          port: fc.integer({ min: 1, max: 65_535 }),
        },
        { requiredKeys: ['phase'], noNullPrototype: true },
      ),
    },
    { requiredKeys: ['driver'], noNullPrototype: true },
  )

  it('results in the wanted entries, and keeps every other entry byte for byte', () => {
    const change = fc.tuple(names, fc.option(entries, { nil: undefined }))
    const withComments = fleet.replaceAll(
      '    driver: ssh\n',
      '    # why\n    driver: "ssh"   # how\n',
    )
    const ends = fc.constantFrom('\n', '\r\n')
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), ends, (changes, lineBreak) => {
        let now = withComments.replaceAll('\n', lineBreak)
        for (const [name, entry] of changes) {
          const next = editText(now, name, () => entry)
          const cut = (text: string): string[] =>
            text
              .split(/^(?= {2}\S)/m)
              .filter((part) => !part.startsWith(`  ${name}:`))
              .map((part) => part.trimEnd().replace(/ \{\}$/, ''))
          expect(cut(next)).toEqual(cut(now))
          now = next
        }
      }),
      { numRuns: 300 },
    )
  })

  it('that adds and removes a machine restores the original text', () => {
    fc.assert(
      fc.property(fc.constantFrom('a', 'b', 'm', 'web-10', 'z'), entries, (name, entry) => {
        expect(
          editText(
            editText(fleet, name, () => entry),
            name,
            remove,
          ),
        ).toBe(fleet)
      }),
    )
  })
})
