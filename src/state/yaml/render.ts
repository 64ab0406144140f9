import { Document, stringify } from 'yaml'
import type { Machine } from '../../machine/machine.ts'

/** Maximum length of a line in flow style. */
const maxLineLength = 100

/** Keys whose value is always in block style, because it is long and grows, or because git merges it line by line. */
const alwaysBlock = new Set(['host', 'operators', 'profiles', 'stacks', 'swarms'])

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const style = { lineWidth: 0, blockQuote: false, flowCollectionPadding: false } as const

function renderScalar(value: unknown, inFlow: boolean): string {
  if (!inFlow) return new Document({ k: value }).toString(style).slice('k: '.length, -1)
  const document = new Document([value], { flow: true })
  return document.toString(style).slice(1, -2)
}

/** Formats a key. The key is quoted if it would otherwise not be a string, or would be a merge key. */
export const renderKey = (key: string): string => {
  if (key === '<<') return '"<<"'
  const document = new Document(new Map([[key, 0]]), { flow: true })
  return document.toString(style).slice(1, -': 0}\n'.length)
}

/** Formats a value on one line. `inFlow` means that the value is inside `{ }` or `[ ]`. */
export function renderInline(value: unknown, inFlow = false): string {
  if (Array.isArray(value)) return `[${value.map((item) => renderInline(item, true)).join(', ')}]`
  if (!isObject(value)) return renderScalar(value, inFlow)
  const pairs = Object.entries(value).map(([key, item]) => renderInlinePair(key, item))
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

/** Formats `key: value` inside `{ }`. */
export const renderInlinePair = (key: string, value: unknown): string =>
  `${renderKey(key)}: ${renderInline(value, true)}`

const isCollection = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : isObject(value) && Object.keys(value).length > 0

/** Returns the lines of a non-empty list or map, indented by `indent` spaces. */
export function renderBlock(value: unknown, indent: number, unit: number): readonly string[] {
  const margin = ' '.repeat(indent)
  if (Array.isArray(value)) return value.map((item) => `${margin}- ${renderInline(item)}`)
  return Object.entries(value as object).flatMap(([key, item]) =>
    renderPair(key, item, indent, unit),
  )
}

/** Returns the lines of `key: value`, indented by `indent` spaces, plus `unit` spaces for each level below. */
export function renderPair(
  key: string,
  value: unknown,
  indent: number,
  unit: number,
): readonly string[] {
  const head = `${' '.repeat(indent)}${renderKey(key)}:`
  const line = `${head} ${renderInline(value)}`
  const breaks = isCollection(value) && (alwaysBlock.has(key) || line.length > maxLineLength)
  return breaks ? [head, ...renderBlock(value, indent + unit, unit)] : [line]
}

/** Returns the lines of a machine's entry, with one line for each of its keys. */
export const renderMachine = (
  name: string,
  entry: Readonly<Record<string, unknown>>,
  indent: number,
  unit: number,
): readonly string[] => [
  `${' '.repeat(indent)}${renderKey(name)}:`,
  ...renderBlock(entry, indent + unit, unit),
]

/** Formats machines as YAML, with the values from their profiles. */
export const formatMachines = (machines: readonly Machine[]): string =>
  stringify(Object.fromEntries(machines.map(({ name, ...entry }) => [name, entry])), {
    lineWidth: 0,
  })
