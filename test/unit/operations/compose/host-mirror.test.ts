import { describe, expect, test } from 'vitest'
import { formatRecord, parseRecord } from '../../../../src/operations/compose/host-mirror.ts'

const digest = 'a'.repeat(64)

describe('the record of copied files', () => {
  test('is read as it was written', () => {
    const record = new Map([
      ['a', { type: 'folder', mode: 0o755 }],
      ['a/b', { type: 'file', mode: 0o644, digest }],
      ['a/..c', { type: 'link', target: '../x' }],
    ] as const)
    expect(parseRecord(formatRecord(record))).toEqual(record)
  })

  test.each([
    ['../x', { type: 'folder', mode: 0o755 }],
    ['a/../../x', { type: 'folder', mode: 0o755 }],
    ['/etc', { type: 'folder', mode: 0o755 }],
    ['a', null],
    ['a', { type: 'folder', mode: '755; reboot' }],
    ['a', { type: 'folder' }],
    ['a', { type: 'file', mode: 0o644, digest: '../x' }],
    ['a', { type: 'link', target: 7 }],
    ['a', { type: 'socket', mode: 0 }],
    [7, { type: 'folder', mode: 0o755 }],
  ])('has no entry for %s with %j', (path, entry) => {
    const valid = ['b', { type: 'folder', mode: 0o755 }]
    const lines = [[path, entry], valid].map((line) => JSON.stringify(line))
    expect([...parseRecord(lines.join('\n')).keys()]).toEqual(['b'])
  })
})
