import { type Canvas, cellWidth, fitCells } from '../../../ui/screen/canvas.ts'
import { type Tone, styleOf } from '../../../ui/screen/palette.ts'
import type { LogLine, Model, Page } from '../model/model.ts'
import { foldJson } from './fold-json.ts'

type Logs = Page & { readonly kind: 'logs' }

/** The lines of the window that show the log. */
export const logsHeight = ({ rows }: Model): number => Math.max(1, rows - 3)

/** The indexes of the lines that contain the text that is searched for, in any case. */
export function logMatches({ lines, search }: Logs): readonly number[] {
  const wanted = search.toLowerCase()
  return lines.flatMap(({ text }, index) => (text.toLowerCase().includes(wanted) ? [index] : []))
}

const sourceTones: readonly Tone[] = ['accent', 'good', 'warn', 'title', 'strong', 'bad']

/** The time of day in the engine's time, which is in UTC. */
const timeText = (time: string): string => time.slice(11, 19)

function drawLine(
  canvas: Canvas,
  { look }: Model,
  { sources, isFolded, search }: Logs,
  { line, y }: { readonly line: LogLine; readonly y: number },
): void {
  let x = canvas.put(0, y, `${timeText(line.time)} `, styleOf(look, 'dim'))
  if (sources.length > 1) {
    const width = Math.min(30, Math.max(...sources.map(cellWidth)))
    const tone = sourceTones[sources.indexOf(line.source) % sourceTones.length] ?? 'accent'
    canvas.put(x, y, fitCells(line.source, width), styleOf(look, tone))
    x += width + 1
  }
  const shown = isFolded ? foldJson(line.text) : line.text
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

/** Draws merged logs: a title, and the lines from the chosen one on, or the last ones. */
export function drawLogs(canvas: Canvas, model: Model, page: Logs): void {
  const { look } = model
  const height = logsHeight(model)
  const end = canvas.put(0, 0, ` Logs of ${page.subject} `, styleOf(look, 'title'))
  const state = page.top === undefined ? 'following' : 'paused'
  const format = page.isFolded ? 'JSON folded' : 'as written'
  const searched = page.search === '' ? '' : `, ${logMatches(page).length} with ${page.search}`
  const count = `${page.lines.length + page.dropped} lines${searched}`
  canvas.put(end, 0, `${state}, ${format}, ${count}`, styleOf(look, 'dim'))
  const last = Math.max(0, page.lines.length - height)
  const top = page.top === undefined ? last : Math.max(0, Math.min(last, page.top - page.dropped))
  for (const [offset, line] of page.lines.slice(top, top + height).entries()) {
    drawLine(canvas, model, page, { line, y: offset + 1 })
  }
  if (page.lines.length === 0) canvas.put(1, 1, 'No lines yet.', styleOf(look, 'dim'))
}
