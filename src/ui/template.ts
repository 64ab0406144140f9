import { UserError } from '../errors.ts'

// The subset of Go's text/template that docker documents for --format
// (docs.docker.com/engine/cli/formatting), applied to JSON values.

type Operand =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'path'; readonly fromRoot: boolean; readonly fields: readonly string[] }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline }

interface Call {
  readonly name: string | undefined
  readonly operands: readonly Operand[]
}

/** A chain of calls, each of which receives the result of the previous call as its last operand. */
type Pipeline = readonly Call[]

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'range' | 'with'
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }

/** A parsed template. */
export type Template = readonly Node[]

const problem = (message: string): UserError =>
  new UserError('usage', `--format: ${message}`, {
    hint: 'for example: --format "{{.name}}"; to see the fields, use --json',
  })

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Returns the field called `name`. If there is none, ignores case, because docker capitalizes names: `.Name`. */
function fieldOf(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined
  if (Object.hasOwn(value, name)) return value[name]
  const lower = name.toLowerCase()
  const other = Object.keys(value).find((key) => key.toLowerCase() === lower)
  return other === undefined ? undefined : value[other]
}

/** Formats a value as Go would print it. Objects and arrays become JSON. */
function show(value: unknown): string {
  if (value === undefined || value === null) return '<no value>'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Whether a value counts as true in a condition. */
const isTrue = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.length > 0
  return isObject(value) ? Object.keys(value).length > 0 : Boolean(value)
}

/** The functions that templates can call, keyed by name. */
export const functions: Readonly<Record<string, (...operands: readonly unknown[]) => unknown>> = {
  json: (value) => JSON.stringify(value ?? null),
  prettyjson: (value) => JSON.stringify(value ?? null, undefined, 4), // as in Docker Machine
  join: (list, separator) =>
    (Array.isArray(list) ? list : [])
      .map(show)
      .join(separator === undefined ? '' : show(separator)),
  split: (text, separator) => show(text).split(show(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replaceAll(/\b\w/g, (letter) => letter.toUpperCase()),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  len: (value) => {
    if (typeof value === 'string' || Array.isArray(value)) return value.length
    return isObject(value) ? Object.keys(value).length : 0
  },
  index: (value, ...keys) =>
    keys.reduce<unknown>(
      (inner, key) =>
        Array.isArray(inner) && typeof key === 'number'
          ? (inner as readonly unknown[])[key]
          : isObject(inner) && Object.hasOwn(inner, show(key))
            ? inner[show(key)]
            : undefined,
      value,
    ),
  eq: (value, ...others) => others.some((other) => other === value),
  ne: (value, other) => value !== other,
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
}

const tokenPattern =
  /\s*(?:(?<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?<number>-?\d+(?:\.\d+)?)|(?<path>\$?(?:\.[A-Za-z_]\w*)+|\$|\.)|(?<word>[A-Za-z]\w*)|(?<mark>[|()]))/y

/** Splits an action, `{{WORDS}}`, into tokens. */
function tokensOf(action: string): RegExpExecArray[] {
  const tokens: RegExpExecArray[] = []
  const source = action.trimEnd()
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < source.length) {
    const at = tokenPattern.lastIndex
    const token = tokenPattern.exec(source)
    if (token === null) throw problem(`cannot parse ${JSON.stringify(source.slice(at).trim())}`)
    tokens.push(token)
  }
  return tokens
}

function parseText(text: string): unknown {
  if (text.startsWith('`')) return text.slice(1, -1)
  try {
    return JSON.parse(text)
  } catch {
    throw problem(`invalid string ${text}`)
  }
}

/** The maximum nesting depth of parentheses and blocks. */
const maxDepth = 50

function parsePipeline(tokens: RegExpExecArray[], depth = 0): Pipeline {
  if (depth > maxDepth) throw problem('the template is too deeply nested')
  const calls: Call[] = []
  for (;;) {
    const operands: Operand[] = []
    let name: string | undefined
    for (let token = tokens[0]; token !== undefined; token = tokens[0]) {
      const { text, number, path, word, mark } = token.groups ?? {}
      if (mark === '|' || mark === ')') break
      tokens.shift()
      if (mark === '(') {
        operands.push({ kind: 'pipeline', pipeline: parsePipeline(tokens, depth + 1) })
        if (tokens.shift()?.groups?.['mark'] !== ')') throw problem('a "(" has no matching ")"')
      } else if (path !== undefined) {
        const fields = path
          .replace('$', '')
          .split('.')
          .filter((field) => field !== '')
        operands.push({ kind: 'path', fromRoot: path.startsWith('$'), fields })
      } else if (number !== undefined) operands.push({ kind: 'value', value: Number(number) })
      else if (text !== undefined) {
        operands.push({ kind: 'value', value: parseText(text) })
      } else if (word === 'true' || word === 'false' || word === 'nil') {
        operands.push({ kind: 'value', value: word === 'nil' ? null : word === 'true' })
      } else if (word !== undefined && Object.hasOwn(functions, word)) {
        if (operands.length > 0 || name !== undefined)
          throw problem(`the function ${word} must be in parentheses: (${word} …)`)
        name = word
      } else {
        throw problem(
          `unknown function ${word}; the functions are ${Object.keys(functions).join(', ')}`,
        )
      }
    }
    if (name === undefined && operands.length !== 1)
      throw problem('an action is empty or has no function')
    calls.push({ name, operands })
    if (tokens[0]?.groups?.['mark'] !== '|') return calls
    tokens.shift()
  }
}

function parseWhole(words: string): Pipeline {
  const tokens = tokensOf(words)
  const pipeline = parsePipeline(tokens)
  if (tokens.length > 0) throw problem('a ")" has no matching "("')
  if (pipeline.slice(1).some(({ name }) => name === undefined)) {
    throw problem('"|" must be followed by a function')
  }
  return pipeline
}

/** Parses a template. Throws kind `usage`. */
export function parseTemplate(source: string): Template {
  const parts = source
    .replaceAll(String.raw`\t`, '\t')
    .replaceAll(String.raw`\n`, '\n')
    .split(/\{\{(-?\s*(?:\/\*.*?\*\/|(?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?)\s*-?)\}\}/s)
  const root: Node[] = []
  interface Block {
    readonly into: Node[]
    readonly closes: number
    readonly otherwise?: Node[]
  }
  const blocks: Block[] = [{ into: root, closes: 0 }]
  const current = () => blocks.at(-1) ?? { into: root, closes: 0 }
  const open = (kind: 'if' | 'range' | 'with', words: string, closes: number) => {
    const node = { kind, pipeline: parseWhole(words), body: [] as Node[], otherwise: [] as Node[] }
    current().into.push(node)
    blocks.push({ into: node.body, closes, otherwise: node.otherwise })
    if (blocks.length > maxDepth) throw problem('the template is too deeply nested')
  }
  parts.forEach((part, index) => {
    if (index % 2 === 0) {
      const after = parts[index - 1]?.endsWith('-') ? part.trimStart() : part
      const text = parts[index + 1]?.startsWith('-') ? after.trimEnd() : after
      if (text.includes('{{') || text.includes('}}')) throw problem('a "{{" or "}}" has no match')
      if (text !== '') current().into.push({ kind: 'text', text })
      return
    }
    const action = part.replace(/^-/, '').replace(/-$/, '').trim()
    if (action.startsWith('/*')) return
    const [, keyword = '', words = ''] =
      /^(if|range|with|else|end)(?:\s+(.*))?$/s.exec(action) ?? []
    if (keyword === '') current().into.push({ kind: 'print', pipeline: parseWhole(action) })
    else if (keyword === 'end') {
      if (blocks.length === 1) throw problem('an {{end}} is outside a block')
      for (let left = current().closes; left > 0; left -= 1) blocks.pop()
    } else if (keyword === 'else') {
      const { otherwise, closes } = current()
      if (otherwise === undefined) throw problem('an {{else}} is outside a block')
      blocks[blocks.length - 1] = { into: otherwise, closes }
      if (words.startsWith('if ')) open('if', words.slice('if '.length), closes + 1)
    } else open(keyword as 'if' | 'range' | 'with', words, 1)
  })
  if (blocks.length > 1) throw problem('an {{end}} is missing')
  return root
}

interface Scope {
  readonly root: unknown
  readonly dot: unknown
}

function valueOf(operand: Operand, scope: Scope): unknown {
  if (operand.kind === 'value') return operand.value
  if (operand.kind === 'pipeline') return evaluate(operand.pipeline, scope)
  return operand.fields.reduce(fieldOf, operand.fromRoot ? scope.root : scope.dot)
}

function evaluate(pipeline: Pipeline, scope: Scope): unknown {
  let result: unknown
  pipeline.forEach(({ name, operands }, index) => {
    const values = operands.map((operand) => valueOf(operand, scope))
    if (name === undefined) [result] = values
    else result = functions[name]?.(...values, ...(index > 0 ? [result] : []))
  })
  return result
}

function renderNodes(nodes: Template, scope: Scope): string {
  return nodes
    .map((node) => {
      if (node.kind === 'text') return node.text
      const value = evaluate(node.pipeline, scope)
      if (node.kind === 'print') return show(value)
      if (!isTrue(value)) return renderNodes(node.otherwise, scope)
      if (node.kind === 'if') return renderNodes(node.body, scope)
      const items = node.kind === 'with' ? [value] : isObject(value) ? Object.values(value) : value
      if (!Array.isArray(items)) return ''
      return items.map((dot) => renderNodes(node.body, { ...scope, dot })).join('')
    })
    .join('')
}

/** Formats a JSON value with a template. */
export const renderTemplate = (template: Template, value: unknown): string =>
  renderNodes(template, { root: value, dot: value })
