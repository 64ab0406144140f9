import { isScalar } from 'yaml'
import * as z from 'zod'
import { suggest } from '../../../machine/nearest-name.ts'
import { looksSecret } from '../../../machine/secrets/find-secrets.ts'
import { describeExpected } from './describe-expected.ts'
import { locate, type InventoryDocument } from '../document.ts'
import { maxProblems, type Problem } from './problem.ts'

type Path = readonly PropertyKey[]
type Issue = z.core.$ZodIssue

/** Removes optional, nullable and default wrappers. */
function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault
    ? unwrap(schema.unwrap())
    : schema
}

/** Returns the keys that the schema allows at a path. */
function keysAt(schema: unknown, [key, ...rest]: Path): readonly string[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) {
    const shape = inner.shape as Readonly<Record<PropertyKey, unknown>>
    if (key === undefined) return Object.keys(shape)
    return Object.hasOwn(shape, key) ? keysAt(shape[key], rest) : []
  }
  if (inner instanceof z.ZodUnion)
    return inner.options.flatMap((option) =>
      keysAt(option, key === undefined ? [] : [key, ...rest]),
    )
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType, rest)
  return inner instanceof z.ZodArray ? keysAt(inner.element, rest) : []
}

const quote = (value: unknown): string => JSON.stringify(value)

/** Describes an actual value, unless it is long or looks like a secret. */
function describeValue(value: unknown, source: string | undefined, key: string): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') {
    return value.length > 40 || looksSecret(value, key) ? 'a different string' : quote(value)
  }
  return source === undefined || looksSecret(source, key) ? `a ${typeof value}` : source
}

/** Formats a path as `machines.web-1.labels.role`, with `[0]` for items of lists. */
const showPath = (path: Path): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')

/** Returns a hint for a top-level key that is the name of a machine setting. */
const inProfile = (key: string): string =>
  ` (settings that machines share belong in a profile: profiles.NAME.${key}, and "extends: NAME" in each machine)`

function describeUnknownKeys(
  issue: z.core.$ZodIssueUnrecognizedKeys,
  path: Path,
  schema: z.ZodType,
  document: InventoryDocument,
): Problem[] {
  const known = keysAt(schema, issue.path)
  const inMachine = path.length === 0 ? keysAt(schema, ['profiles', 'any']) : []
  return issue.keys.slice(0, maxProblems).map((key) => ({
    offset: locate(document.root, [...path, key]).keyOffset,
    message: `${showPath([...path, key])}: unknown key${
      (inMachine.includes(key) ? inProfile(key) : suggest(key, known)) ||
      (known.length > 0 ? ` (known: ${known.join(', ')})` : '')
    }`,
  }))
}

/** Returns the problems in the branch of a union that matches the type of the value. */
const issuesWithin = (issue: Issue): readonly Issue[] | undefined =>
  issue.code === 'invalid_union'
    ? issue.errors.find((issues) =>
        issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'),
      )
    : undefined

/**
 * Describes a problem that zod found, with its position.
 *
 * @param at path in the document of the value that the schema was applied to
 */
export function describeIssue(
  issue: Issue,
  schema: z.ZodType,
  document: InventoryDocument,
  at: Path = [],
): Problem[] {
  const path = [...at, ...issue.path]
  const within = issuesWithin(issue)?.map((inner) => ({
    ...inner,
    path: [...issue.path, ...inner.path],
  }))
  if (within !== undefined)
    return within.flatMap((inner) => describeIssue(inner, schema, document, at))
  if (issue.code === 'unrecognized_keys') return describeUnknownKeys(issue, path, schema, document)
  const { node, keyOffset } = locate(document.root, path)
  const where = path.length === 0 ? '' : `${showPath(path)}: `
  const expected = describeExpected(issue)
  if (issue.code === 'invalid_key') {
    return [{ offset: keyOffset, message: `${where}invalid key: expected ${expected}` }]
  }
  if (node === undefined) {
    return [{ offset: keyOffset, message: `${where}missing (expected ${expected})` }]
  }
  const source = isScalar(node) ? node.source : undefined
  const value: unknown = node === null ? null : node.toJS(document.root)
  const key = String(path.at(-1) ?? '')
  const wantsText = issue.code === 'invalid_type' && issue.expected === 'string'
  const remedy =
    issue.code === 'invalid_value' && typeof value === 'string'
      ? suggest(value, issue.values.map(String))
      : wantsText && source && typeof value !== 'object' && !looksSecret(source, key)
        ? ` (quote it: ${quote(source)})`
        : ''
  return [
    {
      offset: node?.range[0] ?? keyOffset,
      message: `${where}expected ${expected}, got ${describeValue(value, source, key)}${remedy}`,
    },
  ]
}
