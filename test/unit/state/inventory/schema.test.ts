import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import * as z from 'zod'
import { drivers } from '../../../../src/drivers/index.ts'
import { hostRecord, inventoryFile, machineEntry } from '../../../../src/machine/schema.ts'
import {
  describeInventoryFile,
  writeInventorySchema,
} from '../../../../src/state/inventory/json-schema.ts'
import { inventoryOf } from '../../../../src/state/inventory/inventory.ts'
import { parseInventory } from '../../../../src/state/inventory/parse-inventory.ts'

const fileText = (name: string): Promise<string> =>
  readFile(new URL(`../../../../${name}`, import.meta.url), 'utf8')
const driverOptions = (driver: string): z.ZodObject | undefined =>
  drivers.find(({ name }) => name === driver)?.options

const shown = (values: readonly object[]): Set<string> => new Set(values.flatMap(Object.keys))

describe('machines.schema.json', () => {
  it('matches the output of npm run schema', async () => {
    expect(await fileText('machines.schema.json')).toBe(writeInventorySchema(drivers))
  })

  it('accepts the example, and refuses invalid inventories', async () => {
    // zod converts the JSON Schema back, except for the conditions on drivers' options.
    const schema = z.fromJSONSchema(
      JSON.parse(
        JSON.stringify(describeInventoryFile([])).replaceAll(',"allOf":[]', ''),
      ) as Parameters<typeof z.fromJSONSchema>[0],
    )
    const example: unknown = parseDocument(await fileText('machines.example.yaml')).toJS()
    expect(schema.safeParse(example).error).toBeUndefined()
    for (const wrong of [{ version: 2 }, { id: 'x' }, { machines: { 'a b': {} } }, { more: 1 }]) {
      expect(schema.safeParse(Object.assign({}, example, wrong)).success).toBe(false)
    }
  })

  it('checks the options of each driver in entries and in the defaults', () => {
    const text = writeInventorySchema(drivers)
    const schema = JSON.parse(text) as {
      properties: {
        defaults: { properties: Record<string, unknown> }
        machines: { anyOf: [{ additionalProperties: { allOf: { if: unknown; then: unknown }[] } }] }
      }
    }
    const { defaults, machines } = schema.properties
    const conditions = machines.anyOf[0].additionalProperties.allOf
    expect(Object.keys(defaults.properties)).toEqual(drivers.map(({ name }) => name))
    expect(conditions.map((condition) => condition.if)).toEqual(
      drivers.map(({ name }) => ({
        properties: { driver: { const: name } },
        required: ['driver'],
      })),
    )
    expect(conditions.map((condition) => condition.then)).toEqual(
      Object.values(defaults.properties).map((options) => ({ properties: { options } })),
    )
  })
})

describe('machines.example.yaml', () => {
  it('is valid, and has every field', async () => {
    const text = await fileText('machines.example.yaml')
    const { valid, document } = parseInventory(text, 'machines.example.yaml', driverOptions)
    const { machines, profiles } = inventoryOf(valid)
    const entries = [...machines.values()]
    expect(shown([document.data as object])).toEqual(new Set(Object.keys(inventoryFile.shape)))
    expect(shown([...profiles.values()])).toContain('count')
    expect(shown(entries)).toEqual(new Set(['name', ...Object.keys(machineEntry.shape)]))
    expect(shown(entries.map(({ host }) => host ?? {}))).toEqual(
      new Set(Object.keys(hostRecord.shape)),
    )
    for (const driver of drivers) {
      const options = entries.filter((entry) => entry.driver === driver.name)
      expect(shown(options.map((entry) => entry.options ?? {}))).toEqual(
        new Set(Object.keys(driver.options.shape)),
      )
    }
  })
})
