// Writes machines.schema.json, for editors, from the schemas that fleet uses to validate inventories.
import { writeFile } from 'node:fs/promises'
import { register } from 'node:module'

register('./typescript-hook.mjs', import.meta.url)
const { drivers } = await import('../src/drivers/index.ts')
const { writeInventorySchema } = await import('../src/state/inventory/json-schema.ts')

await writeFile(new URL('../machines.schema.json', import.meta.url), writeInventorySchema(drivers))
