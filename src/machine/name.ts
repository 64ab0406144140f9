import { UserError } from '../errors.ts'

declare const checked: unique symbol
/** A machine's name that {@link parseMachineName} has accepted. */
export type MachineName = string & { readonly [checked]: 'MachineName' }

/**
 * Names also serve as host names, so they follow RFC 1123 labels joined by dots:
 * 1 to 63 ASCII letters, digits, `-` and `.`, beginning and ending with a letter or digit.
 */
export const machineNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/

/** The rule of {@link machineNamePattern}, for messages. */
export const machineNameRule =
  '1 to 63 ASCII letters, digits, "-" and ".", with a letter or digit first and last'

/** `all` selects every machine, so none can be called that. */
const reserved = new Set(['all'])

/** Whether `text` can name a machine. */
export const isMachineName = (text: string): text is MachineName =>
  machineNamePattern.test(text) && !reserved.has(text)

/** Checks a name that a person typed. Throws a usage error saying what is allowed. */
export function parseMachineName(text: string): MachineName {
  if (isMachineName(text)) return text
  const why = reserved.has(text) ? 'it means every machine' : `use ${machineNameRule}`
  throw new UserError('usage', `${JSON.stringify(text)} cannot name a machine: ${why}`)
}
