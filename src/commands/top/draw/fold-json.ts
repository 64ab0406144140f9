import { cellWidth } from '../../../ui/screen/canvas.ts'

/** The names that loggers use for the message, the level and the time in a JSON log line. */
const [messageFields, levelFields, timeFields] = [
  ['msg', 'message', 'event', 'log'],
  ['level', 'lvl', 'severity', 'levelname'],
  ['time', 'ts', 'timestamp', '@timestamp'],
] as const

/** Breaks a text into lines of at most `width` cells. */
function wrap(text: string, width: number): readonly string[] {
  if (cellWidth(text) <= width) return [text]
  const lines: string[] = []
  let [line, used] = ['', 0]
  for (const character of text) {
    const cells = cellWidth(character)
    if (used + cells > width) {
      lines.push(line)
      ;[line, used] = ['', 0]
    }
    line += character
    used += cells
  }
  return [...lines, line]
}

/**
 * Returns a log line in full, broken into lines of at most `width` cells. JSON is formatted with one field on each
 * line.
 */
export function unfoldLine(line: string, width: number): readonly string[] {
  let shown = [line]
  if (/^\s*[{[]/.test(line)) {
    try {
      shown = JSON.stringify(JSON.parse(line), null, 2).split('\n')
    } catch {
      shown = [line]
    }
  }
  return shown.flatMap((one) => wrap(one, Math.max(10, width)))
}

const valueText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value)

/** Formats a log line that is a JSON object as `LEVEL message key=value …`. Any other line is returned unchanged. */
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
