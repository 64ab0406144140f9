import { UserError } from '../../errors.ts'

/** Reads a number of seconds that a person typed. */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && Number.isFinite(seconds)) return seconds
  throw new UserError('usage', `${JSON.stringify(text)} is not a number of seconds`)
}

/** Reads a count that a person typed, at least `least`. */
export function parseCount(text: string, least = 0): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text)
  throw new UserError('usage', `${JSON.stringify(text)} is not a whole number of at least ${least}`)
}
