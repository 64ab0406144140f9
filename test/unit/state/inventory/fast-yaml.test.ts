import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../../../src/errors.ts'
import { parseInventoryDocument } from '../../../../src/state/inventory/document.ts'
import { readPlainInventory } from '../../../../src/state/yaml/fast-yaml.ts'
import { head } from '../../../support/inventory/edit-text.ts'

/** Returns the result of the YAML parser, or undefined if it refuses the text. */
function parseWhole(text: string): unknown {
  try {
    return parseInventoryDocument(text, 'f').data
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

/** Returns whether the fast reader accepts the text, in which case its result must equal the YAML parser's. */
function agrees(text: string): boolean {
  const plain = readPlainInventory(text)
  if (plain === undefined) return false
  expect(plain.data).toStrictEqual(parseWhole(text))
  return true
}

const machine = `  web-1: # ours
    driver: ssh
    labels: { role: web, "env": 'it''s', n: "1" }
    options:
      address: 10.0.0.1
      user: "a\\\\b"
      port: 22
      share: 0.25
      tags: [a, b c, {d: e}, []]
    protected: true
    host:
      phase: ready

      # keys
      hostKeys:
      - ssh-ed25519 AAAA+/==
      key: SHA256:abc/+
      created: 2026-01-01T00:00:00.000Z
`

describe('a plain inventory', () => {
  it.each([
    ['in the format that fleet writes', `${head}machines:\n${machine}`],
    ['with CRLF line endings', `${head}machines:\n${machine}`.replaceAll('\n', '\r\n')],
    ['without a final newline', `${head}machines:\n${machine}`.trimEnd()],
    ['without machines', `${head}machines: {} # none\n`],
    ['with other keys after the machines', `machines:\n${machine}\n# of the version\n${head}`],
    ['with deeper indentation', `${head}machines:\n${machine.replaceAll(/^ +/gm, '$&$&')}`],
    ['with numeric machine names', `${head}machines:\n  10:\n    driver: x\n  2:\n    driver: x\n`],
  ])('%s is read as by the YAML parser', (_, text) => {
    expect(agrees(text)).toBe(true)
  })

  it('reports the positions of the machines in the order of the text', () => {
    const text = `${head}machines:\n  10:\n    driver: x\n\n  # c\n  2:\n    driver: x\nx: y\n`
    const { entries = [], end } = readPlainInventory(text) ?? {}
    expect(entries.map(({ name, start }) => [name, text.slice(start, start + 4)])).toEqual([
      ['10', '  10'],
      ['2', '  2:'],
    ])
    expect(text.slice(end)).toBe('x: y\n')
  })

  it.each([
    'a: &a b',
    'a: *a',
    'a: !x b',
    'a: |\n  b',
    'a: >\n  b',
    'a: b\n  c',
    'a: "b\n  c"',
    'a: b\n b: c',
    'a:\n    b: c\n  d: e',
    'a:\n  - b: c',
    'a: - b',
    'a: b: c',
    'a: b\na: c',
    '? a\n: b',
    '<<: b',
    '__proto__: b',
    '---\na: b',
    'a: b\n...',
    'a:\tb',
    'a: ~',
    'a: null',
    'a: Yes\nb: TRUE',
    'a: 0x1',
    'a: 0o7',
    'a: 1e3',
    'a: -1',
    'a: .5',
    'a: 01',
    'a: {b}',
    'a: {b: }',
    'a: {b: c,}',
    'a: {b: c} d',
    'a: "b"#c',
    'a: b\rc: d',
    `a: ${'['.repeat(50_000)}`,
    '',
    '# c',
    '- a',
  ])('%j is left to the YAML parser', (text) => {
    expect(readPlainInventory(text)).toBeUndefined()
  })

  const fragments = [
    ...[
      'version: 1\n',
      'machines:\n',
      '  a:\n',
      '    driver: x\n',
      '\n',
      '\r\n',
      ' ',
      '  ',
      '\t',
      '# c\n',
      ' # c\n',
    ],
    ...[
      'a: ',
      'b: ',
      '"a": ',
      "'a': ",
      '- ',
      '? ',
      ': ',
      ':',
      ', ',
      ',',
      '{',
      '}',
      '{ ',
      ' }',
      '[',
      ']',
      '"',
      "'",
      '\\',
      '|',
      '>',
    ],
    ...[
      'a',
      'b c',
      '1',
      '10',
      '0x1',
      '0o7',
      '1.10',
      '1.',
      '1e3',
      '-1',
      '+1',
      '.5',
      '010',
      'true',
      'True',
      'null',
      'Null',
      '~',
      'no',
    ],
    ...[
      '*a',
      '&a ',
      '!!x ',
      '<<: ',
      '---\n',
      '...\n',
      '%Y',
      '=',
      '/',
      'a:b',
      'a#b',
      '#',
      'é',
      '\u00A0',
      '\u2028',
      '\uFEFF',
      '😀',
    ],
    ...[
      "''",
      '""',
      "'it''s'",
      '"\\n"',
      '"\\x41"',
      '"\\ud83d"',
      '2026-01-01',
      '10.0.0.1',
      '__proto__: ',
      '`',
      '@',
      'a :',
    ],
  ]
  const whole = `${head}machines:\n${machine}`
  const mutated = fc
    .array(fc.tuple(fc.nat(whole.length), fc.nat(6), fc.constantFrom(...fragments)), {
      minLength: 1,
      maxLength: 3,
    })
    .map((cuts) =>
      cuts.reduce((text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut), whole),
    )
  const composed = fc
    .array(fc.constantFrom(...fragments), { maxLength: 14 })
    .map((parts) => parts.join(''))
  const inValue = composed.map((value) => `a: ${value}\n`)
  const inFlow = composed.map((value) => `a: { b: ${value} }\n`)

  it.each([
    ['with random modifications', mutated, 8000],
    ['made of random fragments', composed, 15_000],
    ['with a random value', inValue, 15_000],
    ['with a random value in a flow mapping', inFlow, 15_000],
  ])(
    '%s is either read as by the YAML parser, or left to it',
    (_, texts, numRuns) => {
      let plain = 0
      fc.assert(
        fc.property(texts, (text) => {
          plain += Number(agrees(text))
        }),
        { numRuns },
      )
      expect(plain).toBeGreaterThan(numRuns / 100)
    },
    120_000,
  )
})
