import { visible } from './visible.ts'

/**
 * Text with control sequences that are fleet's own. Those who make one put no text of somebody else's into it that has not
 * gone through the gate: they are colour.ts, screen.ts and {@link compose}.
 */
export class Styled {
  readonly rendered: string

  constructor(rendered: string) {
    this.rendered = rendered
  }
}

/** What can be written: plain text, of which a terminal acts on nothing, or text with styles. */
export type Text = string | Styled

/** The characters to send for a text. This is the gate: nothing but {@link Styled} text gets past it as it is. */
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
