import { visible } from './visible.ts'

/**
 * Text with fleet's own control sequences. Text from other sources must be escaped with {@link render} before it is
 * included. Only color.ts, page.ts, screen.ts, terminal-screen.ts and {@link compose} create instances.
 */
export class Styled {
  readonly rendered: string

  constructor(rendered: string) {
    this.rendered = rendered
  }
}

/** Either plain text, whose control characters are escaped when it is rendered, or text with styles. */
export type Text = string | Styled

/**
 * Returns the characters to write for a text. Control characters are escaped, except for fleet's own control sequences.
 */
export const render = (text: Text): string =>
  text instanceof Styled ? text.rendered : visible(text)

const renderValue = (value: Text | number): string =>
  typeof value === 'number' ? String(value) : render(value)

/** A template tag that combines plain and styled texts. */
export const compose = (
  parts: TemplateStringsArray,
  ...values: readonly (Text | number)[]
): Styled =>
  new Styled(parts.map((part, index) => part + renderValue(values[index] ?? '')).join(''))

/** Joins texts, with `separator` between them. */
export const joinText = (texts: readonly Text[], separator: string): Styled =>
  new Styled(texts.map(render).join(separator))
