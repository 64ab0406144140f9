import { findSpecProblems } from '../../machine/spec-problems.ts'
import { inventoryFile, type InventoryFile } from '../../machine/schema.ts'
import { checkInventoryText } from './decode-text.ts'
import type { ValidInventory } from './inventory.ts'
import { driversIn, optionsIn, schemaFor } from './check/options-in-file.ts'
import type { LoadOptions, OptionsOf } from './parse-inventory.ts'
import { readPlainInventory } from '../yaml/fast-yaml.ts'

/** Whether all options in a file match the schemas of their drivers. */
function fitsDrivers(file: InventoryFile, optionsOf: OptionsOf): boolean {
  for (const place of optionsIn(file)) {
    const options = optionsOf(place.driver)
    const merged = { ...place.inherited, ...place.own }
    if (options && !schemaFor(place, options).safeParse(merged).success) return false
  }
  return true
}

/** Reads an inventory in plain YAML; `undefined` if it is not plain or not valid. */
async function readPlain(
  text: string,
  loadOptions: LoadOptions,
): Promise<ValidInventory | undefined> {
  const plain = readPlainInventory(text)
  const { data: file } = (plain && inventoryFile.safeParse(plain.data)) ?? {}
  if (plain === undefined || file === undefined) return undefined
  if (findSpecProblems(file).length > 0) return undefined
  const { optionsOf } = await loadOptions(driversIn(file))
  if (!fitsDrivers(file, optionsOf)) return undefined
  const names =
    plain.entries.length > 0
      ? plain.entries.map(({ name }) => name)
      : Object.keys(file.machines ?? {})
  return { file, names }
}

/**
 * Reads the text of `file`, with the fast parser if it is plain and valid. Otherwise the complete
 * parser reports errors: throws kind `inventory` with a list of problems by line and column.
 */
export async function readInventoryText(
  text: string,
  file: string,
  loadOptions: LoadOptions,
): Promise<ValidInventory> {
  checkInventoryText(text, file)
  const plain = await readPlain(text, loadOptions)
  if (plain !== undefined) return plain
  const { checkDriverOptions, parseInventory } = await import('./parse-inventory.ts')
  const parsed = parseInventory(text, file, () => undefined)
  const { optionsOf } = await loadOptions(driversIn(parsed.valid.file))
  checkDriverOptions(parsed, file, optionsOf)
  return parsed.valid
}
