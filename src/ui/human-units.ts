const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** Formats a size in bytes with up to three digits and an SI unit, such as `12.3MB`. */
export function humanSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`
}

const spans = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** Formats a number with a noun, such as `3 hours`. The plural of `noun` must end in `s`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`

/** Formats a duration in seconds in a single unit, such as `3 hours`. */
function humanSpan(seconds: number): string {
  const [name, length] = spans.find(([, length]) => seconds >= length) ?? ['second', 1]
  const count = Math.max(0, Math.floor(seconds / length))
  return counted(count, name)
}

/** Formats the age of a Unix time in seconds, such as `3 hours ago`. */
export const humanAge = (unixSeconds: number, now = Date.now()): string =>
  `${humanSpan(now / 1000 - unixSeconds)} ago`

/** Returns the text, or its beginning and an ellipsis if it is longer than `length` characters. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`
