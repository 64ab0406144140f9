import { counted } from '../../../ui/human-units.ts'
import { type Canvas, cellWidth, fitCells } from '../../../ui/screen/canvas.ts'
import { type Tone, styleOf } from '../../../ui/screen/palette.ts'
import type { LogLine, Model, Page } from '../model/model.ts'
import { foldJson, unfoldLine } from './fold-json.ts'

type Logs = Page & { readonly kind: 'logs' }

/** Returns the number of lines that the window has for the log. */
export const logsHeight = ({ rows }: Model): number => Math.max(1, rows - 3)

/** Returns the indexes of the lines that contain the searched text, ignoring case. */
export function logMatches({ lines, search }: Logs): readonly number[] {
  const wanted = search.toLowerCase()
  return lines.flatMap(({ text }, index) => (text.toLowerCase().includes(wanted) ? [index] : []))
}

const sourceTones: readonly Tone[] = ['accent', 'good', 'warn', 'title', 'strong', 'bad']

/** Returns the time of day of an engine's timestamp, which is in UTC. */
const timeText = (time: string): string => time.slice(11, 19)

/** The width, in cells, of the time, and of the name of a source. */
const timeWidth = 9
const sourceWidth = ({ sources }: Logs): number =>
  sources.length > 1 ? Math.min(30, Math.max(...sources.map(cellWidth))) + 1 : 0

/** Returns the text of a log line as shown: on one line of the window, or on several if the line is unfolded. */
function textOf({ columns }: Model, page: Logs, index: number): readonly string[] {
  const text = page.lines[index]?.text ?? ''
  if (!page.unfolded.has(index + page.dropped)) return [page.isFolded ? foldJson(text) : text]
  return unfoldLine(text, columns - timeWidth - sourceWidth(page))
}

/** Returns the number of lines in the window that a log line occupies. */
export const logTextHeight = (model: Model, page: Logs, index: number): number =>
  textOf(model, page, index).length

/**
 * Returns the index of the line at the top of the window: the page's own position, but no further down than where the
 * remaining lines just fill the window.
 */
export function firstLogLine(model: Model, page: Logs): number {
  let room = logsHeight(model)
  let first = page.lines.length
  while (first > 0) {
    room -= logTextHeight(model, page, first - 1)
    if (room < 0) break
    first -= 1
  }
  first = Math.min(first, Math.max(0, page.lines.length - 1))
  return page.top === undefined ? first : Math.max(0, Math.min(first, page.top - page.dropped))
}

interface PlacedLine {
  readonly line: LogLine
  readonly text: string
  readonly y: number
  /** Whether this is the first line of a log line's text. Only the first line shows the time and the source. */
  readonly isFirst: boolean
  readonly isSelected: boolean
}

function drawLine(
  canvas: Canvas,
  { look }: Model,
  page: Logs,
  { line, text: shown, y, isFirst, isSelected }: PlacedLine,
): void {
  const { sources, search } = page
  const width = sourceWidth(page)
  const x = timeWidth + width
  if (isFirst) {
    const mark = isSelected ? '>' : ' '
    const style = styleOf(look, isSelected ? 'selected' : 'dim')
    canvas.put(0, y, `${timeText(line.time).padEnd(timeWidth - 1)}${mark}`, style)
    if (width > 0) {
      const tone = sourceTones[sources.indexOf(line.source) % sourceTones.length] ?? 'accent'
      canvas.put(timeWidth, y, fitCells(line.source, width - 1), styleOf(look, tone))
    }
  }
  const text = fitCells(shown, canvas.columns - x, look.unicode ? '…' : '~')
  canvas.put(x, y, text, line.isError ? styleOf(look, 'warn') : '')
  if (search === '') return
  const found = text.toLowerCase().indexOf(search.toLowerCase())
  if (found === -1) return
  const before = cellWidth(text.slice(0, found))
  canvas.restyle(
    x + before,
    y,
    cellWidth(text.slice(found, found + search.length)),
    styleOf(look, 'found'),
  )
}

/** Draws merged logs: a title, followed by the lines, starting with the one at the top. */
export function drawLogs(canvas: Canvas, model: Model, page: Logs): void {
  const { look } = model
  const height = logsHeight(model)
  const end = canvas.put(0, 0, ` Logs of ${page.subject} `, styleOf(look, 'title'))
  const state = page.top === undefined ? 'following' : 'paused'
  const format = page.isFolded ? 'JSON folded' : 'as written'
  const searched = page.search === '' ? '' : `, ${logMatches(page).length} matching ${page.search}`
  const count = `${counted(page.lines.length + page.dropped, 'line')}${searched}`
  canvas.put(end, 0, `${state}, ${format}, ${count}`, styleOf(look, 'dim'))
  const first = firstLogLine(model, page)
  let y = 1
  for (const [offset, line] of page.lines.slice(first, first + height).entries()) {
    const index = first + offset
    const isSelected = page.selected === index + page.dropped
    for (const [part, text] of textOf(model, page, index).entries()) {
      if (y > height) break
      drawLine(canvas, model, page, { line, text, y, isFirst: part === 0, isSelected })
      y += 1
    }
  }
  if (page.lines.length === 0) canvas.put(1, 1, 'No lines yet.', styleOf(look, 'dim'))
}
