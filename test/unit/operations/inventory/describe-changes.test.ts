import { describe, expect, test } from 'vitest'
import type { MachineEntry } from '../../../../src/machine/machine.ts'
import {
  type Change,
  type InventoryChanges,
  describeChanges,
} from '../../../../src/operations/inventory/describe-changes.ts'

const token = '6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11'
const made: MachineEntry = { driver: 'aws', host: { phase: 'ready', token } }
const begun: MachineEntry = { driver: 'aws', host: { phase: 'creating', token } }
const adopted: MachineEntry = { driver: 'ssh', host: { phase: 'ready', address: '192.0.2.1' } }

const messageFor = (
  entries: Record<string, Change<MachineEntry>>,
  { verb = 'set', ...others }: Partial<InventoryChanges> & { verb?: string } = {},
): string =>
  describeChanges(
    {
      entries: new Map(Object.entries(entries)),
      profiles: new Map(),
      operators: new Map(),
      swarms: new Map(),
      renamed: [],
      ...others,
    },
    verb,
  )

describe('a commit message', () => {
  const gone = { before: made, after: undefined }
  test.each<[string, Record<string, Change<MachineEntry>>, string?]>([
    [
      'Create web-1, web-2',
      { 'web-1': { before: undefined, after: made }, 'web-2': { before: begun, after: made } },
    ],
    ['Begin creating web-1', { 'web-1': { before: undefined, after: begun } }],
    ['Adopt web-1', { 'web-1': { before: undefined, after: adopted } }],
    ['Remove web-1, web-2', { 'web-1': gone, 'web-2': gone }],
    ['Forget web-1', { 'web-1': gone }, 'forget'],
    [
      'Begin removing web-1',
      { 'web-1': { before: made, after: { ...made, host: { phase: 'removing', token } } } },
    ],
    [
      'Set type for web-1 to t4g.small',
      { 'web-1': { before: made, after: { ...made, options: { type: 't4g.small' } } } },
    ],
    [
      'Unset engine for web-1; set label.role for web-1 to "a b"',
      {
        'web-1': {
          before: { ...made, engine: 'none' },
          after: { ...made, labels: { role: 'a b' } },
        },
      },
    ],
    [
      'Set engine for web-1 to 28.1',
      {
        'web-1': {
          before: { ...made, engine: 'none' },
          after: { ...made, engine: { version: '28.1' } },
        },
      },
    ],
    [
      'Set type for web-1, web-2 to t4g.small',
      {
        'web-1': { before: made, after: { ...made, options: { type: 't4g.small' } } },
        'web-2': { before: made, after: { ...made, options: { type: 't4g.small' } } },
      },
    ],
    [
      'Update the saved state of web-1',
      {
        'web-1': {
          before: made,
          after: { ...made, host: { phase: 'ready', token, address: '192.0.2.9' } },
        },
      },
    ],
    ['Change the inventory (fleet set)', { 'web-1': { before: made, after: made } }],
  ])('is: %s', (message, entries, verb = 'set') => {
    expect(messageFor(entries, { verb })).toBe(message)
  })

  test('describes operators, profiles and renamed machines', () => {
    expect(messageFor({}, { renamed: [['a', 'b']] })).toBe('Rename a to b')
    expect(
      messageFor(
        {},
        { profiles: new Map([['web', { before: { count: 3 }, after: { count: 7 } }]]) },
      ),
    ).toBe('Set count for profile web to 7')
    const key = 'ssh-ed25519 AAAA'
    expect(
      messageFor({}, { operators: new Map([['ben', { before: undefined, after: key }]]) }),
    ).toBe('Add operator ben')
    expect(
      messageFor({}, { operators: new Map([['ben', { before: key, after: undefined }]]) }),
    ).toBe('Remove operator ben')
  })

  test('lists many or long changes below a short subject', () => {
    const names = Array.from({ length: 40 }, (_, n) => `web-${n}`)
    const removed = messageFor(Object.fromEntries(names.map((name) => [name, gone])))
    expect(removed).toBe(`Remove 40 machines\n\nRemove ${names.join(', ')}`)
    const region = { ...made, options: { aLongNameOfAnOption: 'x'.repeat(80) } }
    expect(messageFor({ 'web-1.example.com': { before: made, after: region } })).toBe(
      `Change web-1.example.com\n\nSet aLongNameOfAnOption for web-1.example.com to ${'x'.repeat(39)}…`,
    )
    const after = { ...made, options: { type: 'x'.repeat(80), disk: 60 }, protected: true }
    expect(messageFor({ 'web-1': { before: made, after } })).toBe(
      `Change web-1\n\nSet protected for web-1 to true\nSet type for web-1 to ${'x'.repeat(39)}…\nSet disk for web-1 to 60`,
    )
  })
})
