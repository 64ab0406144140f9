import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { MachineName } from '../../../src/machine/name.ts'
import { exceededCount } from '../../../src/machine/profiles.ts'
import { inventoryOf } from '../../../src/state/inventory/inventory.ts'
import { parseInventory, type OptionsOf } from '../../../src/state/inventory/parse-inventory.ts'
import { readInventoryText } from '../../../src/state/inventory/read-text.ts'
import { head } from '../../support/inventory/edit-text.ts'

const optionsOf: OptionsOf = (driver) =>
  driver === 'cloud'
    ? z.strictObject({ type: z.string(), disk: z.int().optional() })
    : z.strictObject({ address: z.string() })

const loadOptions = async () => ({ optionsOf })

const read = (text: string) =>
  inventoryOf(parseInventory(`${head}${text}`, 'm.yaml', optionsOf).valid)

const machine = (text: string, name: string) => read(text).machines.get(name as MachineName)

const web = `profiles:
  base: { driver: cloud, options: { type: small, disk: 20 }, labels: { env: prod, team: a } }
  web: { extends: base, labels: { role: web, team: b }, protected: true, count: 3 }
`

describe('a machine that extends a profile', () => {
  it('inherits from the profile and its parents, with labels and options merged key by key', () => {
    const text = `${web}machines:\n  x:\n    extends: web\n    options: { type: large }\n    protected: false\n`
    expect(machine(text, 'x')).toEqual({
      name: 'x',
      extends: 'web',
      driver: 'cloud',
      options: { type: 'large', disk: 20 },
      labels: { env: 'prod', team: 'b', role: 'web' },
      protected: false,
    })
  })

  it('inherits no options of another driver', () => {
    const text = `${web}machines:\n  x: { extends: web, driver: other, options: { address: h } }\n`
    expect(machine(text, 'x')?.options).toEqual({ address: 'h' })
  })

  it('does not include the default options of its driver', () => {
    const text = `defaults: { cloud: { type: tiny } }\nprofiles:\n  p: { driver: cloud }\nmachines: { x: { extends: p } }\n`
    expect(machine(text, 'x')?.options).toBeUndefined()
  })

  it('has an entry without the inherited values', () => {
    const { entries } = read(`${web}machines:\n  x: { extends: web }\n`)
    expect(entries.get('x' as MachineName)).toEqual({ extends: 'web' })
  })
})

describe('a profile with a count', () => {
  const text = `${web}machines:\n  a: { extends: base }\n  web-2: { extends: web }\n  z: { extends: base }\n  web-5: { extends: web }\n  web-04: { extends: web }\n  web-6: { extends: base }\n`
  const inventory = read(text)

  it('creates numbered machines, and places those without an entry after their predecessors', () => {
    const names = [...inventory.machines.keys()]
    expect(names).toEqual(['a', 'web-2', 'web-3', 'z', 'web-5', 'web-04', 'web-6', 'web-1'])
    expect(inventory.machines.get('web-3' as MachineName)).toMatchObject({
      ...{ extends: 'web', driver: 'cloud', labels: { role: 'web' } },
    })
    expect(inventory.entries.has('web-3' as MachineName)).toBe(false)
  })

  it('does not pass its count on to profiles that extend it', () => {
    const child = `${web}  more: { extends: web }\nmachines: {}\n`
    expect([...read(child).machines.keys()]).toEqual(['web-1', 'web-2', 'web-3'])
  })

  it('is exceeded by machines with higher numbers that extend it', () => {
    const exceeding = [...inventory.machines.values()].filter((one) =>
      exceededCount(inventory.profiles, one),
    )
    expect(exceeding.map(({ name }) => name)).toEqual(['web-5'])
  })

  it('is read equally by the fast reader and the YAML parser', async () => {
    const valid = await readInventoryText(`${head}${text}`, 'm.yaml', loadOptions)
    expect(inventoryOf(valid)).toEqual(inventory)
    const whole = await readInventoryText(`${head}${text}#\tno plain text\n`, 'm.yaml', loadOptions)
    expect(inventoryOf(whole)).toEqual(inventory)
  })
})

describe('problems with profiles are reported with their position', () => {
  it.each([
    [
      'profiles: {web: {driver: cloud}}\nmachines:\n  x: { extends: wep }',
      '5:17: machines.x.extends: there is no profile called "wep" (did you mean "web"?)',
    ],
    ['profiles:\n  a: { extends: b }', '4:17: profiles.a.extends: there is no profile called "b"'],
    [
      'profiles:\n  a: { extends: b }\n  b: { extends: c }\n  c: { extends: b }',
      '5:17: profiles.b.extends: profiles form a cycle: b extends c extends b',
    ],
    [
      'profiles:\n  a: { extends: a }',
      '4:17: profiles.a.extends: profiles form a cycle: a extends a',
    ],
    [
      'profiles:\n  a: { labels: {} }\nmachines:\n  x: { extends: a }',
      '6:3: machines.x.driver: missing (expected a string)',
    ],
    [
      'profiles:\n  a: { count: 2 }',
      '4:15: profiles.a.count: profiles.a has no driver: set one, or extend a profile that has one',
    ],
    [
      `profiles:\n  ${'a'.repeat(62)}: { driver: cloud, count: 2 }`,
      `4:91: profiles.${'a'.repeat(62)}.count: the machine name ${'a'.repeat(62)}-2 is too long`,
    ],
    [
      'profiles:\n  a: { driver: cloud, count: 1 }',
      '4:3: profiles.a.options.type: missing (expected a string)',
    ],
    [
      'profiles:\n  a: { driver: cloud, options: { typ: x } }\nmachines: { x: { extends: a, options: { type: x } } }',
      '4:34: profiles.a.options.typ: unknown key (did you mean "type"?)',
    ],
    [
      'profiles:\n  a: { driver: cloud }\nmachines:\n  x: { extends: a, options: { type: 1 } }',
      '6:37: machines.x.options.type: expected a string, got 1 (quote it: "1")',
    ],
    ['profiles:\n  a: { host: { phase: ready } }', '4:8: profiles.a.host: unknown key'],
    ['profiles:\n  a: { driver: cloud, count: -1 }', '4:30: profiles.a.count: expected at least 0'],
  ])('in %s', async (text, message) => {
    expect(() => read(text)).toThrow(`m.yaml:${message}`)
    await expect(readInventoryText(`${head}${text}\n`, 'm.yaml', loadOptions)).rejects.toThrow(
      `m.yaml:${message}`,
    )
  })
})
