import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { openFileInventory } from '../../../src/state/inventory/file-inventory.ts'
import type { InventoryStore } from '../../../src/state/inventory/inventory.ts'
import { makeTestUser } from '../../support/test-user.ts'
import { makeRepository } from '../../support/inventory/repository.ts'

const run = promisify(execFile)

/** One change by a user; if the entry to change is missing, it may have no effect. */
type Edit = (store: InventoryStore) => Promise<void>

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'

/** Returns changes to machines, profiles and operators with the suffix `own`, and to shared labels. */
function editsOf(own: string): fc.Arbitrary<Edit> {
  const machine = fc.constantFrom('db', 'web', 'web-2', 'api-10').map((text) => `${text}${own}`)
  const name = machine.map((text) => text as MachineName)
  const profile = fc.constantFrom('p', 'web').map((text) => `${text}${own}`)
  const extended = fc.oneof(fc.constant('base'), profile)
  const label = fc.record({ [own]: fc.constantFrom('1', '2') })
  return fc.oneof(
    fc.tuple(name, fc.option(extended)).map<Edit>(
      ([name, profile]) =>
        (store) =>
          store.update(name, (entry) => ({
            ...entry,
            ...(profile === null ? { driver: 'ssh' } : { extends: profile }),
            host: { phase: 'ready', address: '192.0.2.1', resources: { name } },
          })),
    ),
    name.map<Edit>((name) => (store) => store.update(name, () => undefined)),
    fc.tuple(name, name).map<Edit>(
      ([from, to]) =>
        (store) =>
          store.rename(from, to),
    ),
    fc.tuple(fc.oneof(name, fc.constant('both-1' as MachineName)), label).map<Edit>(
      ([name, labels]) =>
        (store) =>
          store.update(
            name,
            (entry) => entry && { ...entry, labels: { ...entry.labels, ...labels } },
          ),
    ),
    fc.tuple(fc.oneof(profile, fc.constant('base')), label).map<Edit>(
      ([name, labels]) =>
        (store) =>
          store.updateProfile(name, (entry) => ({
            driver: 'ssh',
            ...entry,
            labels: { ...entry?.labels, ...labels },
          })),
    ),
    fc.tuple(profile, fc.nat(3)).map<Edit>(
      ([name, count]) =>
        (store) =>
          store.updateProfile(name, (entry) => ({ ...entry, extends: 'base', count })),
    ),
    profile.map<Edit>((name) => (store) => store.updateProfile(name, () => undefined)),
    fc.tuple(fc.constantFrom('ana', 'bo'), fc.boolean()).map<Edit>(
      ([name, stays]) =>
        (store) =>
          store.updateOperator(`${name}${own}`, () => (stays ? key : undefined)),
    ),
  )
}

const manyEdits = (own: string) => fc.array(editsOf(own), { minLength: 1, maxLength: 6 })

const openStore = (file: string): InventoryStore =>
  openFileInventory(file, {
    loadOptions: async () => ({ optionsOf: () => undefined }),
  })

/** Makes changes one by one, ignoring those that are refused, such as the removal of a profile that is in use. */
async function doAll(file: string, deeds: readonly Edit[]): Promise<void> {
  const store = openStore(file)
  for (const deed of deeds) {
    await deed(store).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error
    })
  }
}

const starts = [
  'version: 1\nid: 0123abcd\nprofiles:\n  base: { driver: ssh }\nmachines: {}\n',
  'version: 1\nid: 0123abcd\nprofiles:\n  base: { driver: ssh }\nmachines:\n  # of both\n  both-1:\n    driver: ssh\n',
  `# ours\nversion: 1\nid: 0123abcd\n\noperators:\n  ana-a: ${key}\n\nprofiles:\n  # all have this\n  base:\n    driver: ssh\n    labels: { env: prod }\n\nmachines:\n  both-1:\n    extends: base\n\n  web-a:\n    driver: ssh # old\n\n  web-b:\n    driver: ssh\n`,
]

it('git merges the changes of two clones to the result of making them in one clone', async () => {
  await using user = await makeTestUser()
  const { git, fleet, file, folder, env } = await makeRepository(user)
  expect((await fleet('init')).code).toBe(0)
  await git('add', '-A')
  await git('commit', '-qm', 'start')
  const clone = join(user.home, 'clone')
  await run('git', ['clone', '-q', folder, clone], { env })
  const other = join(clone, 'machines.yaml')
  const gitThere = (...args: string[]) => run('git', args, { cwd: clone, env })
  expect((await fleet('merge', '--install', '--inventory', other)).code).toBe(0)
  const alone = join(user.home, 'alone.yaml')

  const begin = async (text: string): Promise<void> => {
    await writeFile(file, text)
    await writeFile(alone, text)
    await git('commit', '-qam', 'begin', '--allow-empty')
    await gitThere('fetch', '-q')
    await gitThere('reset', '-q', '--hard', 'origin/main')
  }
  await fc.assert(
    fc.asyncProperty(
      ...[fc.constantFrom(...starts), fc.boolean(), fc.boolean()],
      ...[manyEdits('-a'), manyEdits('-b')],
      async (start, isWindows, rebases, mine, yours) => {
        await begin(isWindows ? start.replaceAll('\n', '\r\n') : start)
        await doAll(file, mine)
        await git('commit', '-qam', 'mine', '--allow-empty')
        await doAll(other, yours)
        await gitThere('commit', '-qam', 'yours', '--allow-empty')
        await gitThere('pull', '-q', '--no-edit', rebases ? '--rebase' : '--no-rebase')
        await doAll(alone, [...mine, ...yours])
        const merged = await readFile(other, 'utf8')
        expect(await openStore(other).read()).toEqual(await openStore(alone).read())
        expect(/\r?\n/.exec(merged)?.[0]).toBe(isWindows ? '\r\n' : '\n')
        expect(merged.split('\r\n').length).toBe(isWindows ? merged.split('\n').length : 1)
      },
    ),
    { numRuns: 15, endOnFailure: true },
  )
})
