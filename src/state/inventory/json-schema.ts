import * as z from 'zod'
import { inventoryFile, machineEntry, profileEntry } from '../../machine/schema.ts'

/** The part of a driver's definition that the schema needs. */
export interface DriverOptions {
  readonly name: string
  readonly options: z.ZodObject
}

type JsonSchema = z.core.JSONSchema.JSONSchema

/** Required options may be missing: a machine also gets options from profiles and defaults. */
function describeOptions({ options }: DriverOptions): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(options.partial(), { io: 'input' })
  return schema
}

/**
 * Returns the JSON Schema (2020-12) of machines.yaml, for editors. Validates the options of the given drivers; other
 * drivers may have any options.
 */
export function describeInventoryFile(drivers: readonly DriverOptions[]): JsonSchema {
  const schema = z.toJSONSchema(inventoryFile, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === machineEntry) {
        jsonSchema.anyOf = [{ required: ['driver'] }, { required: ['extends'] }]
      }
      if (zodSchema === machineEntry || zodSchema === profileEntry) {
        jsonSchema.allOf = drivers.map((driver) => ({
          if: { properties: { driver: { const: driver.name } }, required: ['driver'] },
          // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
          then: { properties: { options: describeOptions(driver) } },
        }))
      }
      if (zodSchema === inventoryFile.shape.defaults) {
        jsonSchema.properties = Object.fromEntries(
          drivers.map((driver) => [driver.name, describeOptions(driver)]),
        )
      }
    },
  })
  return { ...schema, title: 'fleet inventory (machines.yaml)' }
}

/** Returns the text of machines.schema.json. */
export const writeInventorySchema = (drivers: readonly DriverOptions[]): string =>
  `${JSON.stringify(describeInventoryFile(drivers), undefined, 2)}\n`
