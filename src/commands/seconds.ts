import { UserError } from '../errors.ts'

/** Reads a number of seconds that a person typed. */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && Number.isFinite(seconds)) return seconds
  throw new UserError('usage', `${JSON.stringify(text)} is not a number of seconds`)
}
