import { UserError } from '../errors.ts'

declare const checked: unique symbol
/** A machine name that {@link parseMachineName} has accepted. */
export type MachineName = string & { readonly [checked]: 'MachineName' }

/**
 * Machine names are also used as host names, so they consist of RFC 1123 labels joined by dots: 1 to 63 ASCII letters,
 * digits, `-` and `.`, beginning and ending with a letter or digit.
 */
export const machineNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/

/** The rule that {@link machineNamePattern} implements, for use in messages. */
export const machineNameRule =
  '1 to 63 ASCII letters, digits, "-" or ".", beginning and ending with a letter or digit'

/** `all` selects every machine, so no machine can have this name. */
const reserved = new Set(['all'])

/** Whether a text is a valid machine name. */
export const isMachineName = (text: string): text is MachineName =>
  machineNamePattern.test(text) && !reserved.has(text)

/** Checks a machine name from the command line. Throws kind `usage` if it is not valid. */
export function parseMachineName(text: string): MachineName {
  if (isMachineName(text)) return text
  const why = reserved.has(text) ? 'this name selects every machine' : `use ${machineNameRule}`
  throw new UserError('usage', `invalid machine name ${JSON.stringify(text)}: ${why}`)
}
