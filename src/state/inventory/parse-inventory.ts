import { isMap, isScalar } from 'yaml'
import type { z } from 'zod'
import { UserError } from '../../errors.ts'
import { inventoryFile, type InventoryFile } from '../../machine/schema.ts'
import { findSpecProblems } from '../../machine/spec-problems.ts'
import { describeIssue } from './check/describe-issue.ts'
import { locate, parseInventoryDocument, type InventoryDocument } from './document.ts'
import { inventoryError, maxProblems, type Problem } from './check/problem.ts'
import { checkInventoryText } from './decode-text.ts'
import type { ValidInventory } from './inventory.ts'
import { optionsIn, schemaFor } from './check/options-in-file.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** Returns the options schema of a driver; `undefined` for an unknown driver. */
export type OptionsOf = (driver: string) => z.ZodObject | undefined

/** The known options schemas of drivers. */
interface KnownOptions {
  readonly optionsOf: OptionsOf
}

/** Loads the options schemas of these drivers, if they are available. */
export type LoadOptions = (drivers: readonly string[]) => Promise<KnownOptions>

/** A parsed and validated inventory. */
export interface ParsedInventory {
  readonly document: InventoryDocument
  readonly valid: ValidInventory
}

function checkVersion({ text, data, root }: InventoryDocument, file: string): void {
  if (data === null || data === undefined) {
    throw new UserError('inventory', `${file} is empty`, {
      hint: `remove the file and run fleet init, or restore the file from git: git checkout -- ${shellQuote(file)}`,
    })
  }
  const version = (data as { readonly version?: unknown }).version
  if (typeof version !== 'number' || version <= 1) return
  const { node, keyOffset } = locate(root, ['version'])
  const message = `inventory version ${version} is not supported: this version of fleet supports only version 1`
  throw inventoryError(
    file,
    text,
    [{ offset: node?.range[0] ?? keyOffset, message }],
    'upgrade fleet',
  )
}

/**
 * Finds invalid options. An option that applies in several places, such as in defaults and a
 * machine, is reported once, where it is set.
 */
function checkOptions(
  file: InventoryFile,
  document: InventoryDocument,
  optionsOf: OptionsOf,
): readonly Problem[] {
  return [...optionsIn(file)].flatMap((place) => {
    const { path, driver, own, inherited } = place
    const options = optionsOf(driver)
    if (options === undefined) return []
    const schema = schemaFor(place, options)
    const issues = schema.safeParse({ ...inherited, ...own }).error?.issues ?? []
    const isOwn = (key: PropertyKey | undefined): boolean =>
      key === undefined || Object.hasOwn(own, key) || !Object.hasOwn(inherited, key)
    return issues
      .filter((issue) =>
        issue.code === 'unrecognized_keys' ? issue.keys.some(isOwn) : isOwn(issue.path[0]),
      )
      .flatMap((issue) => describeIssue(issue, schema, document, path))
  })
}

/** Finds settings of profiles and entries that result in invalid machines. */
const checkSpecs = (file: InventoryFile, { root }: InventoryDocument): readonly Problem[] =>
  findSpecProblems(file).map(({ path, message }) => {
    const { node, keyOffset } = locate(root, path)
    return { offset: node?.range[0] ?? keyOffset, message }
  })

/**
 * Validates the options of drivers in a text that was parsed without them. Throws as {@link
 * parseInventory} does.
 */
export function checkDriverOptions(
  { document }: ParsedInventory,
  file: string,
  optionsOf: OptionsOf,
): void {
  const problems = checkOptions(document.data as InventoryFile, document, optionsOf)
  if (problems.length > 0) throw inventoryError(file, document.text, problems)
}

/** Returns the names of machines in the order of the text: an object would list names that look like numbers first. */
function namesInOrder({ root }: InventoryDocument, machines: object): readonly string[] {
  const { node } = locate(root, ['machines'])
  const written = isMap(node)
    ? node.items.flatMap(({ key }) => (isScalar(key) ? String(key.value) : []))
    : []
  const known = Object.keys(machines)
  return [...new Set([...written, ...known])].filter((name) => Object.hasOwn(machines, name))
}

/**
 * Parses and validates the text of `file`. Throws kind `inventory` with a list of problems by line
 * and column: syntax errors, else violations of the format, else invalid options of known drivers.
 */
export function parseInventory(text: string, file: string, optionsOf: OptionsOf): ParsedInventory {
  checkInventoryText(text, file)
  const document = parseInventoryDocument(text, file)
  checkVersion(document, file)
  const parsed = inventoryFile.safeParse(document.data)
  const specProblems = parsed.success ? checkSpecs(parsed.data, document) : []
  const problems = !parsed.success
    ? parsed.error.issues
        .slice(0, maxProblems)
        .flatMap((issue) => describeIssue(issue, inventoryFile, document))
    : specProblems.length > 0
      ? specProblems
      : checkOptions(parsed.data, document, optionsOf)
  if (!parsed.success || problems.length > 0) throw inventoryError(file, text, problems)
  const names = namesInOrder(document, parsed.data.machines ?? {})
  return { document, valid: { file: parsed.data, names } }
}
