import { UserError } from '../errors.ts'
import type { Io } from './io.ts'
import { Output } from './output.ts'
import { type Text, render } from './styled.ts'
import { type Template, parseTemplate, renderTemplate } from './template.ts'

/**
 * Formats the JSON that a command writes, which has one value on each line, with a template. The items of an array are
 * formatted one by one.
 */
class TemplateOutput extends Output {
  readonly #template: Template
  #rest = ''

  constructor({ stdout, screen }: Io, template: Template) {
    super(stdout.raw, screen)
    this.#template = template
  }

  /** Always false, because JSON for programs is not indented. */
  override get isTTY(): boolean {
    return false
  }

  override write(text: Text): void {
    const lines = `${this.#rest}${render(text)}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.trim() === '') continue
      const value = parseLine(line)
      const items: readonly unknown[] = Array.isArray(value) ? value : [value]
      for (const item of items) super.write(`${renderTemplate(this.#template, item)}\n`)
    }
  }
}

/** Returns the value of a line, or the line itself if it is not JSON. */
function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return line
  }
}

/** A message that a command with --json writes to stderr. */
interface JsonMessage {
  readonly error?: { readonly message?: string; readonly hint?: string }
  readonly machine?: string
  readonly event?: string
  readonly changes?: readonly string[]
}

/** Writes a command's JSON messages as text. Messages about its progress are omitted. */
class MessageOutput extends Output {
  constructor({ stderr, screen }: Io) {
    super(stderr.raw, screen)
  }

  override write(text: Text): void {
    const written = render(text)
    if (!written.startsWith('{')) return super.write(text)
    for (const line of written.split('\n').filter((one) => one !== '')) {
      const { error, machine, event, changes = [] } = (parseLine(line) ?? {}) as JsonMessage
      const who = machine === undefined ? '' : `${machine}: `
      if (error !== undefined) {
        const hint = error.hint === undefined ? '' : `\n  ${error.hint}`
        super.write(`fleet: ${who}${error.message}${hint}\n`)
      } else if (event === undefined) super.write(`${line}\n`)
      else if (event === 'plan') super.write(`${who}${changes.join('; ')}\n`)
    }
    return undefined
  }
}

/**
 * Returns a command's input and outputs for formatting its JSON with a template. The command must run as if with
 * --json. Throws kind `usage` for an invalid template.
 */
export function withTemplate(io: Io, source: string): Io {
  const text = source === 'json' ? '{{json .}}' : source
  if (/^table\b/.test(text)) {
    throw new UserError('usage', '--format: "table" is not supported', {
      hint: String.raw`use a template without "table", such as "{{.name}}\t{{.driver}}"`,
    })
  }
  return {
    ...io,
    stdout: new TemplateOutput(io, parseTemplate(text)),
    stderr: new MessageOutput(io),
  }
}
