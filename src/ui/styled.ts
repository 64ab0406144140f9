import { visible } from './visible.ts'

/**
 * Text with fleet's own control sequences. Text of others must be escaped by {@link render} before it becomes part of one;
 * only color.ts, page.ts, screen.ts, terminal-screen.ts and {@link compose} create them.
 */
export class Styled {
  readonly rendered: string

  constructor(rendered: string) {
    this.rendered = rendered
  }
}

/** Plain text, whose control characters are escaped, or text with styles. */
export type Text = string | Styled

/** The characters to write for a text: control characters are escaped unless they are fleet's own. */
export const render = (text: Text): string =>
  text instanceof Styled ? text.rendered : visible(text)

const renderValue = (value: Text | number): string =>
  typeof value === 'number' ? String(value) : render(value)

/** A template of plain and styled texts. */
export const compose = (
  parts: TemplateStringsArray,
  ...values: readonly (Text | number)[]
): Styled =>
  new Styled(parts.map((part, index) => part + renderValue(values[index] ?? '')).join(''))

/** Texts side by side, with `separator` between them. */
export const joinText = (texts: readonly Text[], separator: string): Styled =>
  new Styled(texts.map(render).join(separator))
