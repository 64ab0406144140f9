import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { DriverDefinition } from '../../../src/drivers/driver.ts'
import type { MachineEntry } from '../../../src/machine/machine.ts'
import type { Machine } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import type { Context } from '../../../src/operations/context.ts'
import { newEntry } from '../../../src/operations/create/new-entry.ts'
import { onlyValue } from '../../../src/operations/inventory/edit-entries.ts'
import { labelMachines, parseLabelChange } from '../../../src/operations/inventory/label-machine.ts'
import { parseSettings, setMachine } from '../../../src/operations/inventory/set-machine.ts'
import { setProfile } from '../../../src/operations/inventory/set-profile.ts'
import { openMemoryInventory } from '../../support/inventory/memory-inventory.ts'

const name = 'web-2' as MachineName

async function label(context: Context, word: string): Promise<Machine> {
  const { machines } = await (await context.inventory()).read()
  const chosen = [...machines.values()].filter((machine) => machine.name === name)
  return onlyValue(await labelMachines(context, chosen, parseLabelChange([word])))
}

const cloud = {
  contract: 2,
  name: 'cloud',
  summary: 'hosts of a test',
  options: z.strictObject({
    type: z.string().optional().describe('How big.'),
    disk: z.int().optional().describe('In GiB.'),
  }),
  load: () => Promise.reject(new Error('nothing is asked of it')),
} satisfies DriverDefinition

const driver = async () => cloud

function open(entries: Record<string, MachineEntry> = {}) {
  const store = openMemoryInventory(entries, {
    profiles: {
      base: { driver: 'cloud', labels: { role: 'web' }, protected: true },
      web: { extends: 'base', options: { type: 'small' }, count: 3 },
    },
  })
  const context = { inventory: async () => store, driver } as unknown as Context
  const entry = async () => (await store.read()).entries.get(name)
  return { context, store, entry }
}

describe('the entry of a machine counted by a profile', () => {
  it('is created with only the values that differ from the profile', async () => {
    const inventory = await open().store.read()
    expect(newEntry({ name, options: {}, labels: {} }, inventory)).toEqual({ extends: 'web' })
    const own = { options: { disk: 9 }, labels: { rack: '1' } }
    expect(newEntry({ name, driver: 'cloud', ...own }, inventory)).toEqual({
      extends: 'web',
      ...own,
    })
  })

  it.each([
    [{ driver: 'ssh' }, 'web-2 extends the profile web, which sets "driver: cloud"'],
    [{ extends: 'base' }, 'the entry for web-2 already extends the profile web'],
  ])('is not created with %j', async (request, why) => {
    const inventory = await open().store.read()
    expect(() => newEntry({ name, ...request }, inventory)).toThrow(why)
  })

  it('can have any name with --extends, but must extend an existing profile', async () => {
    const inventory = await open().store.read()
    const shop = 'shop' as MachineName
    expect(newEntry({ name: shop, extends: 'base' }, inventory)).toEqual({ extends: 'base' })
    expect(() => newEntry({ name: shop, extends: 'bse' }, inventory)).toThrow(
      'there is no profile called "bse" (did you mean "base"?)',
    )
    expect(() => newEntry({ name: shop }, inventory)).toThrow('no driver is specified for shop')
  })

  it('continues an interrupted creation, and refuses a different engine setting', async () => {
    const { store } = open({
      [name]: {
        extends: 'web',
        host: { phase: 'creating', token: '6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11' },
      },
    })
    const inventory = await store.read()
    const again = { name, options: { type: 'small' } }
    expect(newEntry(again, inventory)).toMatchObject({
      host: { token: '6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11' },
    })
    const other = { name, options: { type: 'large' } }
    expect(newEntry(other, inventory)).toMatchObject({ options: { type: 'large' } })
    expect(() => newEntry({ name, engine: 'none' }, inventory)).toThrow(
      'started creating web-2 with a different value for engine: it was not set and is now none',
    )
  })

  it('is written when a value is set that the profile does not have', async () => {
    const { context, entry } = open()
    const changed = await setMachine(context, name, parseSettings(['protected=false', 'via=web-1']))
    expect(changed).toMatchObject({ driver: 'cloud', protected: false, via: 'web-1' })
    expect(await entry()).toEqual({ extends: 'web', via: 'web-1', protected: false })
    const labelled = await label(context, 'rack=1')
    expect(labelled.labels).toEqual({ role: 'web', rack: '1' })
    expect((await entry())?.labels).toEqual({ rack: '1' })
    await setMachine(context, name, parseSettings(['protected-', 'via-', 'label.rack-']))
    expect(await entry()).toEqual({ extends: 'web' })
  })

  it('cannot remove values that come from the profile', async () => {
    const { context, entry } = open()
    const why = {
      kind: 'usage',
      message: 'cannot remove label.role from web-2: it comes from the profile web',
    }
    await expect(label(context, 'role-')).rejects.toMatchObject(why)
    await expect(setMachine(context, name, parseSettings(['label.role-']))).rejects.toMatchObject(
      why,
    )
    const option = setMachine(context, name, parseSettings(['type-']))
    await expect(option).rejects.toThrow(
      'cannot remove type from web-2: it comes from the profile web',
    )
    expect(await entry()).toBeUndefined()
  })
})

describe('changing the settings of a profile', () => {
  it('changes all machines that extend it', async () => {
    const { context, store } = open({ shop: { extends: 'web' } })
    const settings = parseSettings(['count=1', 'label.env=prod', 'type=large', 'disk=9'])
    await setProfile(context, 'web', settings)
    const { machines } = await store.read()
    expect([...machines.keys()]).toEqual(['shop', 'web-1'])
    expect(machines.get('shop' as MachineName)).toMatchObject({
      ...{ labels: { role: 'web', env: 'prod' }, options: { type: 'large', disk: 9 } },
    })
    await setProfile(context, 'web', parseSettings(['count-', 'disk-']))
    expect((await store.read()).profiles.get('web')).toEqual({
      ...{ extends: 'base', labels: { env: 'prod' }, options: { type: 'large' } },
    })
  })

  it.each([
    ['webb', 'count=1', 'there is no profile called "webb" (did you mean "web"?)'],
    ['web', 'count=many', 'count must be a whole number, not "many"'],
    ['web', 'typ=large', 'unknown setting "typ" (did you mean "type"?)'],
    ['web', 'via=nope', 'there is no machine called "nope"'],
  ])('refuses %s %s', async (profile, word, why) => {
    const changed = setProfile(open().context, profile, parseSettings([word]))
    await expect(changed).rejects.toThrow(why)
  })

  it('allows a count only for profiles', async () => {
    const changed = setMachine(open().context, name, parseSettings(['count=1']))
    await expect(changed).rejects.toThrow('unknown setting "count"')
  })
})
