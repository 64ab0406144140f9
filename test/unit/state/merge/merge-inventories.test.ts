import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInventoryDocument } from '../../../../src/state/inventory/document.ts'
import { mergeLines } from '../../../../src/state/merge/git.ts'
import { mergeInventories } from '../../../../src/state/merge/merge-inventories.ts'
import {
  editText,
  fleet,
  label,
  ready,
  remove,
  type Change,
} from '../../../support/inventory/edit-text.ts'

const merge = (ours: string, theirs: string, base = fleet) =>
  mergeInventories({ base, ours, theirs }, (versions) => mergeLines(versions, process.env))

const dataOf = (text: string): unknown => parseInventoryDocument(text, '').data

/** A single change to a machine by a writer; if the machine does not exist, the change adds it. */
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.constant(ready),
  fc.constant(remove),
  fc
    .record({ env: fc.constantFrom('prod', 'test'), rack: fc.constantFrom('1', '2') })
    .map((labels) => label(labels)),
)
const edits = (names: readonly string[]) =>
  fc.array(fc.tuple(fc.constantFrom(...names), change), { maxLength: 5 })

const apply = (text: string, changes: readonly (readonly [string, Change])[]): string =>
  changes.reduce((before, [name, change]) => editText(before, name, change), text)

const withStacks = (text: string, ...lines: string[]): string =>
  text.replace(/^machines:/m, `stacks:\n${lines.join('\n')}\nmachines:`)

describe('merging inventories', () => {
  it('gives the result of a single writer if two writers changed different machines', async () => {
    const ours = ['api-1', 'web-1', 'web-3', 'web-5', 'aaa']
    const theirs = ['db-1', 'web-2', 'web-4', 'api-2', 'aab']
    await fc.assert(
      fc.asyncProperty(edits(ours), edits(theirs), async (mine, yours) => {
        const merged = await merge(apply(fleet, mine), apply(fleet, yours))
        expect(merged.conflicts).toEqual([])
        expect(dataOf(merged.text)).toEqual(dataOf(apply(apply(fleet, mine), yours)))
      }),
      { numRuns: 60 },
    )
  })

  it('keeps comments and blank lines of both sides, with the same result in either order', async () => {
    const ours = editText(fleet, 'web-2', ready).replace('  web-2:', '  # ours\n  web-2:')
    const theirs = editText(fleet, 'web-3', ready).replace('  web-3:', '  # theirs\n  web-3:')
    const { text } = await merge(ours, theirs)
    expect((await merge(theirs, ours)).text).toBe(text)
    expect(text).toContain('\n\n  # ours\n  web-2:\n')
    expect(text).toContain('\n\n  # theirs\n  web-3:\n')
  })

  it('merges stacks one by one, even if only one side has any', async () => {
    const [shop, mail] = [
      '  shop: { compose: a.yaml, on: web }',
      '  mail: { compose: b.yaml, on: db }',
    ]
    const both = await merge(withStacks(fleet, shop), withStacks(fleet, mail))
    expect(both.conflicts).toEqual([])
    expect(dataOf(both.text)).toMatchObject({
      stacks: { shop: { compose: 'a.yaml' }, mail: { compose: 'b.yaml' } },
    })
    const base = withStacks(fleet, shop, mail)
    const ours = base.replace('on: web', 'on: all')
    const theirs = base.replace(`${mail}\n`, '')
    const { text } = await merge(ours, theirs, base)
    expect(dataOf(text)).toMatchObject({ stacks: { shop: { compose: 'a.yaml', on: 'all' } } })
    expect(text).not.toContain('mail')
  })

  it('merges changes of both sides to one machine key by key', async () => {
    const ours = editText(fleet, 'api-1', label({ env: 'prod' }))
    const theirs = editText(editText(fleet, 'api-1', label({ rack: '2' })), 'db-1', remove)
    const { text, conflicts } = await merge(ours, theirs)
    expect(conflicts).toEqual([])
    expect(text).toBe(
      editText(editText(fleet, 'api-1', label({ env: 'prod', rack: '2' })), 'db-1', remove),
    )
  })

  it('keeps operators of both sides', async () => {
    const base = fleet.replace('machines:', 'operators:\n  ana: ssh-ed25519 AAAA\nmachines:')
    const add = (name: string) =>
      base.replace('machines:', `  ${name}: ssh-ed25519 AAAB\nmachines:`)
    const { text, conflicts } = await merge(add('bo'), add('cy'), base)
    expect(conflicts).toEqual([])
    expect(text).toContain(
      '  ana: ssh-ed25519 AAAA\n  cy: ssh-ed25519 AAAB\n  bo: ssh-ed25519 AAAB\nmachines:',
    )
  })

  it.each<[string, Change, Change, string]>([
    [
      'two hosts with the same name',
      (entry) => ({
        ...entry,
        host: { phase: 'ready', token: '6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11', id: 'i-1' },
      }),
      (entry) => ({
        ...entry,
        host: { phase: 'ready', token: '0b7d2f6e-3c1a-4d58-8e21-9f4a5c6b7d10', id: 'i-2' },
      }),
      'web-9 has two different hosts, i-1 and i-2: rename one entry, or keep only one (fleet gc finds hosts that are not in the inventory)',
    ],
    [
      'different machines with the same name',
      (entry) => ({ ...entry, protected: true }),
      label({ a: 'b' }),
      'both sides added web-9 with different values: protected, labels',
    ],
  ])('reports %s as a conflict', async (_, ours, theirs, why) => {
    const merged = await merge(editText(fleet, 'web-9', ours), editText(fleet, 'web-9', theirs))
    expect(merged.conflicts).toEqual([why])
    expect(merged.text.match(/^(?:<{7} ours|={7}|>{7} theirs)$/gm)).toHaveLength(3)
  })

  it('reports a conflict if one side removed a machine that the other changed, except for its host facts', async () => {
    const ours = editText(fleet, 'api-1', remove)
    const changed = await merge(ours, editText(fleet, 'api-1', label({ env: 'prod' })))
    expect(changed.conflicts).toEqual(['one side removed api-1, and the other changed it'])
    const looked = editText(fleet, 'api-1', (entry) => ({
      ...entry,
      host: { phase: 'ready', address: '10.0.0.9' },
    }))
    expect(await merge(ours, looked)).toEqual({ text: ours, conflicts: [] })
  })

  it('adds machines to an empty inventory, and removes the last machine', async () => {
    const empty = fleet.replace(/machines:[^]*/, 'machines: {}\n')
    const [one, two] = [editText(empty, 'a', ready), editText(empty, 'b', ready)]
    expect((await merge(one, two, empty)).text).toBe(editText(one, 'b', ready))
    expect((await merge(empty, one, one)).text).toBe(empty)
  })
})
