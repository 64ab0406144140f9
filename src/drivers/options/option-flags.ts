import type { z } from 'zod'
import { UserError } from '../../errors.ts'
import type { DriverDefinition } from '../driver.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** A driver option as a command-line flag. */
export interface OptionFlag {
  /** Name without the leading dashes, such as `disk-size`. */
  readonly name: string
  /** Key in machines.yaml, such as `diskSize`. */
  readonly key: string
  readonly description: string
  readonly type: 'string' | 'number' | 'boolean' | 'enum'
  /** The allowed values, for an enum. */
  readonly choices?: readonly string[]
  readonly default?: string | number | boolean
  readonly required: boolean
}

type Options = Readonly<Record<string, unknown>>

const flagName = (key: string): string =>
  key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

type Definition = z.core.$ZodTypes['_zod']['def']

const definitionOf = (type: z.core.$ZodType): Definition => (type as z.ZodType).def as Definition

/** The innermost type of a field, and what its wrappers declare. */
interface Unwrapped {
  readonly inner: Definition
  readonly required: boolean
  readonly description?: string
  readonly fallback?: unknown
}

/** Removes `optional` and `default`. The outermost description applies. */
function unwrap(field: z.core.$ZodType): Unwrapped {
  const { description } = field as z.ZodType
  const own = description === undefined ? {} : { description }
  const def = definitionOf(field)
  if (def.type === 'optional') return { ...unwrap(def.innerType), required: false, ...own }
  if (def.type === 'default') {
    const { defaultValue: fallback } = def
    return { ...unwrap(def.innerType), required: false, fallback, ...own }
  }
  return { inner: def, required: true, ...own }
}

function typeOf(def: Definition, key: string): Pick<OptionFlag, 'type' | 'choices'> {
  if (def.type === 'enum') return { type: 'enum', choices: Object.values(def.entries).map(String) }
  if (def.type === 'string' || def.type === 'number' || def.type === 'boolean') {
    return { type: def.type }
  }
  throw new TypeError(`option ${key}: the type ${def.type} is not supported`)
}

const isPlain = (value: unknown): value is string | number | boolean =>
  ['string', 'number', 'boolean'].includes(typeof value)

function flagOf([key, field]: [string, z.core.$ZodType]): OptionFlag {
  const { inner, required, description = '', fallback } = unwrap(field)
  const name = flagName(key)
  if (reservedFlags.has(name)) throw new TypeError(`option ${key}: --${name} is reserved by fleet`)
  return {
    name,
    key,
    description,
    ...typeOf(inner, key),
    ...(isPlain(fallback) && { default: fallback }),
    required,
  }
}

/** Pattern for a default in parentheses at the end of a description. */
const statedDefault = /^(.*) \((default: [^()]*)\)$/s

/**
 * Returns the description of an option with its choices and its default in parentheses, for help and documentation.
 * With `isNew: false`, the description is for an existing host: the schema's defaults do not apply, and no option is
 * required.
 */
export function describeFlag(
  { description, choices, default: fallback, required }: OptionFlag,
  { isNew = true }: { readonly isNew?: boolean } = {},
): string {
  const [, text = description, stated] = statedDefault.exec(description) ?? []
  const notes = [
    ...(choices === undefined ? [] : [`one of ${choices.join(', ')}`]),
    ...(stated === undefined ? [] : [stated]),
    ...(isNew && fallback !== undefined && fallback !== false ? [`default: ${fallback}`] : []),
    ...(isNew && required ? ['required'] : []),
  ]
  return notes.length === 0 ? text : `${text} (${notes.join('; ')})`
}

/** Returns the flags of a driver, in the order of its schema. */
export const optionFlags = ({ options }: DriverDefinition): OptionFlag[] =>
  Object.entries(options.shape).map(flagOf)

/**
 * Converts flags to options. A flag without a value becomes `true`, and missing flags are omitted. Does not validate
 * values.
 */
export function readOptionFlags(
  driver: DriverDefinition,
  given: Readonly<Record<string, string | boolean | undefined>>,
): Options {
  const options: Record<string, unknown> = {}
  for (const flag of optionFlags(driver)) {
    const text = given[flag.name]
    if (text !== undefined && text !== false) options[flag.key] = readFlag(flag, text)
  }
  return options
}

function readFlag({ name, type }: OptionFlag, text: string | boolean): unknown {
  if (type === 'number' && typeof text === 'string') {
    const number = Number(text)
    if (text.trim() === '' || Number.isNaN(number)) {
      throw new UserError('usage', `--${name}: expected a number, not ${JSON.stringify(text)}`)
    }
    return number
  }
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/** Returns the validation error for `text` as the value of a flag, if any. */
export function validationError(
  driver: DriverDefinition,
  flag: OptionFlag,
  text: string,
): string | undefined {
  try {
    const result = (driver.options.shape[flag.key] as z.ZodType).safeParse(readFlag(flag, text))
    return result.error?.issues[0]?.message
  } catch (error) {
    if (error instanceof UserError) return error.message
    throw error
  }
}

/**
 * Merges the options of a machine with the inventory's defaults for its driver, and validates the result. Throws kind
 * `usage` and names each flag that is invalid, missing or unknown.
 */
export function checkOptions(
  driver: DriverDefinition,
  given: Options,
  defaults: Options = {},
): Options {
  return parseWith(driver.options, driver, { ...defaults, ...given })
}

/**
 * Like {@link checkOptions}, for a host that fleet did not create: no option is required, and the schema's defaults do
 * not apply.
 */
export function checkGivenOptions(
  driver: DriverDefinition,
  given: Options,
  defaults: Options = {},
): Options {
  const merged = { ...defaults, ...given }
  const parsed = parseWith(driver.options.partial(), driver, merged)
  return Object.fromEntries(Object.entries(parsed).filter(([key]) => Object.hasOwn(merged, key)))
}

function parseWith(schema: z.ZodObject, driver: DriverDefinition, options: Options): Options {
  const result = schema.safeParse(options)
  if (result.success) return result.data
  const problems = result.error.issues.flatMap((issue) => describeProblems(driver, issue, options))
  throw new UserError('usage', `driver ${driver.name}: ${problems.join('; ')}`, {
    hint: `see fleet create --driver ${shellQuote(driver.name)} --help`,
  })
}

function describeProblems(
  driver: DriverDefinition,
  issue: z.core.$ZodIssue,
  options: Options,
): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `unknown option ${JSON.stringify(key)}`)
  }
  const flag = optionFlags(driver).find(({ key }) => key === issue.path[0])
  if (flag === undefined) return [issue.message]
  if (options[flag.key] === undefined) return [`--${flag.name} is required`]
  const choices = (flag.type === 'boolean' ? ['true', 'false'] : flag.choices)?.join(', ')
  const reason = choices === undefined ? issue.message : `expected one of ${choices}`
  return [`--${flag.name}: ${reason.replace(/^[A-Z]/, (letter) => letter.toLowerCase())}`]
}

/** Flags of `fleet create` and `fleet adopt`, without dashes. Driver options cannot have these names. */
export const reservedFlags: ReadonlySet<string> = new Set(
  'driver extends count label protected engine-version engine-channel engine-repository engine-opt engine-storage-driver engine-label engine-env engine-insecure-registry engine-registry-mirror engine-install-url engine no-engine user-data identity via install-engine host-key accept-new allow-path rollback yes name inventory machine on all parallel timeout max-fail retry-failed fold json format quiet help version'.split(
    ' ',
  ),
)
