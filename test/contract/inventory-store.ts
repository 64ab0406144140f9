import { describe, expect, it } from 'vitest'
import type { MachineEntry } from '../../src/machine/machine.ts'
import { parseMachineName } from '../../src/machine/name.ts'
import type { InventoryStore } from '../../src/state/inventory/inventory.ts'

const web: MachineEntry = {
  driver: 'ssh',
  labels: { role: 'web', rack: '12' },
  options: { address: 'web.example.com', port: 2222 },
  host: { phase: 'ready', address: '203.0.113.7', hostKeys: ['ssh-ed25519 AAAA'] },
}
const [a, b] = [parseMachineName('web-1'), parseMachineName('web-2')]

const entryIn = async (store: InventoryStore, name = a): Promise<MachineEntry | undefined> =>
  (await store.read()).entries.get(name)

const count = (entry: MachineEntry | undefined): MachineEntry => ({
  driver: 'local',
  labels: { count: String(Number(entry?.labels?.['count'] ?? 0) + 1) },
})

/** Tests that every inventory store must pass. `open` returns a new store without machines. */
export function describeInventoryStore(kind: string, open: () => Promise<InventoryStore>): void {
  describe(`the inventory ${kind}`, () => {
    it('starts without machines', async () => {
      const { machines, id } = await (await open()).read()
      expect(machines.size).toBe(0)
      expect(id).toMatch(/^[0-9a-f]{8}$/)
    })

    it('returns what was written, under its name', async () => {
      const store = await open()
      await store.update(a, () => web)
      expect(await entryIn(store)).toEqual(web)
      expect((await store.read()).machines.get(a)?.name).toBe('web-1')
    })

    it('passes the latest entry and inventory to a change', async () => {
      const store = await open()
      await store.update(a, () => web)
      await store.update(b, (entry, inventory) => {
        expect(entry).toBeUndefined()
        expect([...inventory.machines.keys()]).toEqual(['web-1'])
        return { driver: 'local' }
      })
      await store.update(a, (entry) => entry && { ...entry, protected: true })
      expect(await entryIn(store)).toEqual({ ...web, protected: true })
      expect(await entryIn(store, b)).toEqual({ driver: 'local' })
    })

    it('changes several entries in one write, or none of them', async () => {
      const store = await open()
      const c = parseMachineName('bastion')
      await store.update(a, () => web)
      await store.update(b, () => web)
      await store.update(c, () => ({ driver: 'ssh', options: { address: '192.0.2.9' } }))
      const seen: string[] = []
      await store.updateAll([a, b], (name, { entries, machines }) => {
        seen.push(`${name}: ${[...machines.values()].filter(({ via }) => via === c).length}`)
        return { ...entries.get(name), via: c }
      })
      expect(seen).toEqual(['web-1: 0', 'web-2: 1'])
      expect(await entryIn(store, b)).toEqual({ ...web, via: c })

      const failing = store.updateAll([a, b], (name, { entries }) => {
        if (name === b) throw new Error('not this one')
        return { ...entries.get(name), protected: true }
      })
      await expect(failing).rejects.toThrow('not this one')
      const circle = store.updateAll([a, c], (name, { entries }) => ({
        ...entries.get(name),
        via: name === a ? c : a,
      }))
      await expect(circle).rejects.toMatchObject({ kind: 'usage' })
      expect(await entryIn(store)).toEqual({ ...web, via: c })
    })

    it('stores the public keys of operators next to the machines', async () => {
      const store = await open()
      await store.update(a, () => web)
      await store.updateOperator('ana', () => 'ssh-ed25519 AAAA ana')
      await store.updateOperator('ben', () => ({ key: 'ssh-ed25519 BBBB', on: ['role=web'] }))
      expect(Object.fromEntries((await store.read()).operators)).toEqual({
        ana: 'ssh-ed25519 AAAA ana',
        ben: { key: 'ssh-ed25519 BBBB', on: ['role=web'] },
      })
      await store.updateOperator('ana', () => undefined)
      await store.updateOperator('ben', (entry) => {
        expect(entry).toMatchObject({ on: ['role=web'] })
        return undefined
      })
      expect((await store.read()).operators.size).toBe(0)
      expect(await entryIn(store)).toEqual(web)
      const wrong = store.updateOperator('ana', () => 'AAAA')
      await expect(wrong).rejects.toMatchObject({ kind: 'usage' })
    })

    it('renames a machine, and updates the entries that use it as a jump host', async () => {
      const store = await open()
      const bastion = parseMachineName('bastion')
      await store.update(a, () => web)
      await store.update(b, () => ({ ...web, via: a }))
      await store.rename(a, bastion)
      expect(await entryIn(store)).toBeUndefined()
      expect(await entryIn(store, bastion)).toEqual(web)
      expect((await entryIn(store, b))?.via).toBe('bastion')
      await expect(store.rename(b, bastion)).rejects.toMatchObject({ kind: 'usage' })
      await expect(store.rename(a, b)).rejects.toMatchObject({ kind: 'unknown-machine' })
    })

    it("stores profiles, and separates an entry's own keys from inherited values", async () => {
      const store = await open()
      await store.updateProfile('base', () => ({ driver: 'ssh', labels: { role: 'web' } }))
      await store.updateProfile('web', () => ({ extends: 'base', via: a, count: 2 }))
      await store.update(a, () => ({ driver: 'local' }))
      await store.update(b, () => ({ extends: 'web', labels: { rack: '1' } }))
      const { machines, profiles } = await store.read()
      expect(machines.get(b)).toEqual({
        ...{ name: b, extends: 'web', driver: 'ssh', via: a },
        labels: { role: 'web', rack: '1' },
      })
      expect([...profiles.keys()]).toEqual(['base', 'web'])
      expect(await entryIn(store, b)).toEqual({ extends: 'web', labels: { rack: '1' } })
      await store.rename(a, parseMachineName('bastion'))
      const renamed = await store.read()
      expect(renamed.profiles.get('web')).toEqual({ extends: 'base', via: 'bastion', count: 2 })
      expect([...renamed.machines.keys()].toSorted()).toEqual(['bastion', 'web-1', 'web-2'])
      expect(renamed.entries.has(a)).toBe(false)
      const unwritten = store.rename(a, parseMachineName('x'))
      await expect(unwritten).rejects.toMatchObject({ kind: 'usage' })
      await store.updateProfile('web', (profile) => profile && { ...profile, count: 0 })
      expect((await store.read()).machines.has(a)).toBe(false)
    })

    it('records the ID of a swarm', async () => {
      const store = await open()
      const id = 'c'.repeat(25)
      await store.updateSwarm('prod', () => ({ managers: 'role=manager', workers: ['w-1', 'w-2'] }))
      await store.updateSwarm('prod', (entry) => entry && { ...entry, id })
      const { swarms } = await store.read()
      expect(swarms.get('prod')).toEqual({
        ...{ name: 'prod', managers: 'role=manager', workers: ['w-1', 'w-2'], id },
      })
      const invalid = store.updateSwarm('prod', () => ({ managers: 'all', id: 'x' }))
      await expect(invalid).rejects.toMatchObject({ kind: 'usage' })
      await store.updateSwarm('prod', () => undefined)
      expect((await store.read()).swarms.size).toBe(0)
    })

    it('refuses an entry that extends a missing profile', async () => {
      const store = await open()
      const refused = store.update(a, () => ({ extends: 'web' }))
      await expect(refused).rejects.toMatchObject({ kind: 'usage', machine: a })
    })

    it('removes an entry, and treats the same name as new afterwards', async () => {
      const store = await open()
      await store.update(a, () => web)
      await store.update(b, () => web)
      await store.update(a, () => undefined)
      expect([...(await store.read()).machines.keys()]).toEqual(['web-2'])
      await store.update(a, () => ({ driver: 'local' }))
      expect(await entryIn(store)).toEqual({ driver: 'local' })
    })

    it('changes nothing when it removes a missing entry', async () => {
      const store = await open()
      await store.update(a, () => undefined)
      expect((await store.read()).machines.size).toBe(0)
    })

    it('drops keys whose value is undefined', async () => {
      const store = await open()
      await store.update(a, () => ({ ...web, labels: undefined, via: undefined }))
      expect(await entryIn(store)).toStrictEqual({
        driver: web.driver,
        options: web.options,
        host: web.host,
      })
    })

    it('keeps its contents when a change throws, and remains usable', async () => {
      const store = await open()
      await store.update(a, () => web)
      const failure = new Error('changed my mind')
      const failed = store.update(a, () => {
        throw failure
      })
      await expect(failed).rejects.toBe(failure)
      await store.update(b, () => web)
      expect(await entryIn(store)).toEqual(web)
    })

    it('is not affected by changes to the objects that it returned', async () => {
      const store = await open()
      await store.update(a, () => web)
      await store.update(a, (entry) => {
        if (entry?.labels) entry.labels['role'] = 'db'
        return entry && structuredClone({ ...entry, labels: { ...web.labels } })
      })
      expect((await entryIn(store))?.labels).toEqual(web.labels)
    })

    it('loses none of many concurrent changes', async () => {
      const store = await open()
      const names = Array.from({ length: 20 }, (_, index) => parseMachineName(`m-${index}`))
      await Promise.all(names.map((name) => store.update(name, () => ({ driver: 'local' }))))
      await Promise.all(names.map(() => store.update(a, count)))
      expect(new Set((await store.read()).machines.keys())).toEqual(new Set([...names, a]))
      expect((await entryIn(store))?.labels).toEqual({ count: '20' })
    })

    it.each(['constructor', 'toString', 'hasOwnProperty', '0', 'a', 'true', 'null', '1e3', 'a.b'])(
      'accepts %s as an ordinary machine name',
      async (text) => {
        const store = await open()
        const name = parseMachineName(text)
        expect((await store.read()).machines.has(name)).toBe(false)
        await store.update(name, (entry) => {
          expect(entry).toBeUndefined()
          return web
        })
        await store.update(a, () => web)
        expect(await entryIn(store, name)).toEqual(web)
        await store.update(name, () => undefined)
        expect([...(await store.read()).machines.keys()]).toEqual(['web-1'])
      },
    )

    it.each([
      ['an unknown phase', { ...web, host: { phase: 'gone' } }],
      ['a label that is not a string', { ...web, labels: { rack: 12 } }],
      ['an unknown key', { ...web, lables: {} }],
      ['a private key', { ...web, options: { key: '-----BEGIN OPENSSH PRIVATE KEY-----\nx' } }],
      ['a token', { ...web, labels: { note: `ghp_${'a'.repeat(36)}` } }],
    ])('refuses %s and keeps its contents', async (_, entry) => {
      const store = await open()
      const refused = store.update(a, () => entry as MachineEntry)
      await expect(refused).rejects.toMatchObject({ name: 'UserError', kind: 'usage' })
      expect((await store.read()).machines.size).toBe(0)
    })

    it('keeps strings that look like other YAML values as strings', async () => {
      const store = await open()
      const labels = Object.fromEntries(
        [
          'true',
          'no',
          '3',
          '1.10',
          'null',
          '~',
          '',
          ' x ',
          '# x',
          'a: b',
          '[x]',
          '"',
          "'",
          '*a',
          '&a',
          '!t',
          '@x',
          '`',
          '%',
          '- x',
          '? x',
          '{',
          'é',
          '😀',
          'a, b',
          '0x10',
          '2026-11-23',
        ].map((value, index) => [`l${index}`, value]),
      )
      const options = {
        text: ' two  words ',
        empty: {},
        list: [],
        nested: { deep: [1, { x: null }] },
      }
      await store.update(a, () => ({ ...web, labels, options }))
      expect(await entryIn(store)).toEqual({ ...web, labels, options })
      await store.update(a, (entry) => entry && { ...entry, labels: { ...labels, last: 'a  b' } })
      expect((await entryIn(store))?.labels).toEqual({ ...labels, last: 'a  b' })
    })

    describe('with a jump host (via) that does not exist', () => {
      const made = {
        ...web,
        host: { phase: 'creating', token: '6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11' },
      } as const

      it('refuses a machine whose own jump host is missing or forms a cycle', async () => {
        const store = await open()
        await expect(store.update(a, () => ({ ...web, via: 'web-9' }))).rejects.toMatchObject({
          kind: 'usage',
          message: expect.stringContaining(
            'web-1 has the jump host web-9, but there is no such machine',
          ),
        })
        await store.update(a, () => web)
        await store.update(b, () => ({ ...web, via: 'web-1' }))
        await expect(
          store.update(a, (entry) => entry && { ...entry, via: 'web-2' }),
        ).rejects.toMatchObject({ kind: 'usage', message: expect.stringContaining('form a cycle') })
        expect(await entryIn(store)).toEqual(web)
      })

      it('refuses other changes to that entry, but accepts its removal and records of billable resources', async () => {
        const store = await open()
        const c = parseMachineName('web-3')
        await store.update(a, () => web)
        await store.update(b, () => ({ ...web, via: 'web-1' }))
        await store.update(c, () => made)
        await store.update(a, () => undefined)
        await expect(store.update(a, count)).resolves.toBeUndefined()
        await store.update(a, () => undefined)
        await expect(
          store.update(b, (entry) => entry && { ...entry, labels: {} }),
        ).rejects.toMatchObject({ kind: 'inventory' })
        await store.update(c, (entry) => entry && { ...entry, host: { ...made.host, id: 'i-1' } })
        expect((await entryIn(store, c))?.host?.id).toBe('i-1')
        await store.update(b, () => undefined)
        expect([...(await store.read()).machines.keys()]).toEqual(['web-3'])
      })
    })
  })
}
