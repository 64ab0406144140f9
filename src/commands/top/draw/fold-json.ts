/** Fields of a line in JSON that hold its message, its level and its time, by the names that loggers use. */
const [messageFields, levelFields, timeFields] = [
  ['msg', 'message', 'event', 'log'],
  ['level', 'lvl', 'severity', 'levelname'],
  ['time', 'ts', 'timestamp', '@timestamp'],
] as const

const valueText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value)

/** A log line that is a JSON object as `LEVEL message key=value …`; any other line as it is. */
export function foldJson(line: string): string {
  if (!line.startsWith('{')) return line
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return line
  }
  const fields = Object.entries(parsed as Readonly<Record<string, unknown>>)
  const find = (names: readonly string[]) => fields.find(([name]) => names.includes(name))
  const [message, level, time] = [messageFields, levelFields, timeFields].map(find)
  if (message === undefined && level === undefined) return line
  const rest = fields
    .filter((field) => field !== message && field !== level && field !== time)
    .map(([name, value]) => `${name}=${valueText(value)}`)
  const head = [level && valueText(level[1]).toUpperCase(), message && valueText(message[1])]
  return [...head.filter((part) => part !== undefined), ...rest].join(' ')
}
