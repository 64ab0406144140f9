import { UserError } from '../errors.ts'

const unixSeconds = /^\d+(?:\.\d{1,9})?$/
const duration = /^-?(?:\d+(?:\.\d+)?(?:h|m|s|ms))+$/
const date =
  /^(?<day>\d{4}-\d\d-\d\d)(?:T(?<clock>\d\d:\d\d(?::\d\d)?)(?<fraction>\.\d{1,9})?)?(?<zone>Z|[+-]\d\d:\d\d)?$/

const secondsOf: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 }

/**
 * Parses a time as docker's `--since` and `--until` do: a duration before `now` (`10m`, `1h30m`), an RFC 3339 date or
 * time (in local time if it has no time zone), or Unix seconds. Returns Unix seconds in the format of the API. Throws
 * kind `usage` for anything else.
 */
export function unixTime(text: string, now = Date.now()): string {
  if (unixSeconds.test(text)) return text
  if (duration.test(text)) return (now / 1000 - durationSeconds(text)).toFixed(3)
  const parts = date.exec(text)?.groups
  const { day, clock = '00:00:00', fraction = '', zone = '' } = parts ?? {}
  const milliseconds = parts === undefined ? Number.NaN : Date.parse(`${day}T${clock}${zone}`)
  if (!Number.isNaN(milliseconds)) return `${milliseconds / 1000}${fraction}`
  throw new UserError('usage', `${JSON.stringify(text)} is not a valid time`, {
    hint: 'specify a duration (10m, 1h30m), a date or time (2026-11-23T10:00:00Z), or a Unix timestamp',
  })
}

/** Converts a duration such as `1h30m` to seconds; a negative duration is in the future. */
function durationSeconds(text: string): number {
  const parts = [...text.matchAll(/(?<count>[\d.]+)(?<unit>ms|[hms])/g)]
  const seconds = parts.reduce(
    (sum, { groups }) =>
      sum + Number(groups?.['count']) * (secondsOf[groups?.['unit'] ?? ''] ?? Number.NaN),
    0,
  )
  return text.startsWith('-') ? -seconds : seconds
}
