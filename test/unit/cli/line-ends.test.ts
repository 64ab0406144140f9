import { expect, it } from 'vitest'
import type { MachineName } from '../../../src/machine/name.ts'
import { mergeLines } from '../../../src/state/merge/git.ts'
import { editShared } from '../../../src/state/inventory/edit-shared-entries.ts'
import { mergeInventories } from '../../../src/state/merge/merge-inventories.ts'
import { renameInText } from '../../../src/state/inventory/rename-in-text.ts'
import { editText, fleet, label, ready, remove } from '../../support/inventory/edit-text.ts'

const windows = (text: string): string => text.replaceAll('\n', '\r\n')
const key = 'ssh-ed25519 AAAA'
const shared = `version: 1\nid: 4f0c2f6e\noperators:\n  ana: ${key}\n  bo: ${key}\nprofiles:\n  web:\n    driver: ssh\n    # as few as can be\n    count: 2\nmachines: {}\n`
const web = { driver: 'ssh', labels: { a: 'b' }, count: 3 }

it.each<[what: string, before: string, edit: (text: string) => string]>([
  ['the first machine is added', shared, (text) => editText(text, 'a', ready)],
  ['a machine is added', fleet, (text) => editText(text, 'db-2', ready)],
  ['a machine is added before all others', fleet, (text) => editText(text, 'aa', ready)],
  ['a label is added', fleet, (text) => editText(text, 'db-1', label({ role: 'db' }))],
  ['a machine is removed', fleet, (text) => editText(text, 'db-1', remove)],
  ['the last machine is removed', fleet, (text) => editText(text, 'web-1', remove)],
  [
    'a machine is renamed',
    fleet,
    (text) => renameInText(text, 'db-1' as MachineName, 'x' as MachineName, 'f'),
  ],
  ['an operator is added', shared, (text) => editShared(text, ['operators', 'cy', key], 'f')],
  ['the first operator is added', fleet, (text) => editShared(text, ['operators', 'cy', key], 'f')],
  [
    'an operator is removed',
    shared,
    (text) => editShared(text, ['operators', 'bo', undefined], 'f'),
  ],
  ['a profile is added', shared, (text) => editShared(text, ['profiles', 'db', web], 'f')],
  ['a profile is replaced', shared, (text) => editShared(text, ['profiles', 'web', web], 'f')],
  ['a profile is removed', shared, (text) => editShared(text, ['profiles', 'web', undefined], 'f')],
])('a file with CRLF line endings keeps them when %s', (_, before, edit) => {
  expect(edit(windows(before))).toBe(windows(edit(before)))
  expect(edit(before)).not.toBe(before)
})

const merge = (base: string, ours: string, theirs: string) =>
  mergeInventories({ base, ours, theirs }, (versions) => mergeLines(versions, process.env))

it('a merge keeps CRLF line endings', async () => {
  const ours = editText(editText(fleet, 'web-2', ready), 'db-1', label({ a: 'b' }))
  const theirs = editText(editText(fleet, 'web-3', ready), 'db-1', label({ c: 'd' }))
  const { text, conflicts } = await merge(fleet, ours, theirs)
  expect(conflicts).toEqual([])
  const merged = await merge(windows(fleet), windows(ours), windows(theirs))
  expect(merged).toEqual({ text: windows(text), conflicts: [] })
})

it('a merge uses the line endings of the side that changed them', async () => {
  const theirs = editText(fleet, 'web-3', ready)
  const both = windows(editText(editText(fleet, 'web-2', ready), 'web-3', ready))
  const ours = editText(fleet, 'web-2', ready)
  expect((await merge(fleet, windows(ours), theirs)).text).toBe(both)
  expect((await merge(fleet, ours, windows(theirs))).text).toBe(both)
})

it('both sides of a merge can add the first entry of different sections at the same place', async () => {
  const ours = editShared(fleet, ['operators', 'ana', key], 'f')
  const theirs = editShared(fleet, ['profiles', 'web', web], 'f')
  const { text, conflicts } = await merge(fleet, ours, theirs)
  expect(conflicts).toEqual([])
  expect(text).toBe(
    fleet.replace(
      'machines:',
      `operators:\n  ana: ${key}\nprofiles:\n  web: { driver: ssh, labels: { a: b }, count: 3 }\nmachines:`,
    ),
  )
})

it('one side of a merge can remove the last entry of a section to which the other side adds one', async () => {
  const base = editShared(fleet, ['operators', 'ana', key], 'f')
  const theirs = editShared(base, ['operators', 'bo', key], 'f')
  const bo = editShared(fleet, ['operators', 'bo', key], 'f')
  expect(await merge(base, fleet, theirs)).toEqual({ text: bo, conflicts: [] })
  expect(await merge(base, theirs, fleet)).toEqual({ text: bo, conflicts: [] })
})
