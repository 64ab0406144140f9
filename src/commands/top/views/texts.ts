import { humanSize } from '../../../ui/human-units.ts'

/** Formats a share as a percentage, padded to four characters; empty if the share is undefined. */
export const percent = (share: number | undefined): string =>
  share === undefined ? '' : `${Math.round(share * 100)}%`.padStart(4)

/** Formats a size in bytes, such as `12.3MB`. */
export const size = humanSize

const spans = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const

/** Formats a duration in seconds in its largest unit: `42s`, `3h`. */
export function age(seconds: number): string {
  const [unit, length] = spans.find(([, length]) => seconds >= length) ?? ['s', 1]
  return `${Math.max(0, Math.floor(seconds / length))}${unit}`
}

/** Formats a Unix time in seconds as the time of day, in the time zone of this computer. */
export const clockTime = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour12: false })
