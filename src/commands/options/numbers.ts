import { UserError } from '../../errors.ts'

/** Parses a number of seconds. */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && Number.isFinite(seconds)) return seconds
  throw new UserError('usage', `${JSON.stringify(text)} is not a valid number of seconds`)
}

/** Parses an integer that is not less than `least`. */
export function parseCount(text: string, least = 0): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text)
  throw new UserError('usage', `${JSON.stringify(text)} is not a whole number of at least ${least}`)
}
