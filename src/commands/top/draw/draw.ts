import { Canvas, cellWidth, fitCells } from '../../../ui/screen/canvas.ts'
import { oneLine } from '../../../ui/visible.ts'
import { styleOf } from '../../../ui/screen/palette.ts'
import { heatCell } from '../../../ui/screen/pictures.ts'
import { listOf, stripHeight } from '../list.ts'
import { actionsFor, describeTargets, questionOf } from '../model/actions.ts'
import { type Dialog, type Model, isStale, viewNames } from '../model/model.ts'
import { drawDetails } from './details.ts'
import { helpLines } from './help.ts'
import { drawLogs } from './logs.ts'
import { drawTable } from './table.ts'

/** Draws the titles of all views, and, at the right edge, how many machines are answering. */
function drawTitle(canvas: Canvas, model: Model): void {
  const { look, machines, now, isReadOnly } = model
  let x = 0
  for (const [index, name] of viewNames.entries()) {
    const isCurrent = name === model.view
    const style = styleOf(look, isCurrent ? 'selected' : 'plain')
    x = canvas.put(x, 0, ` ${index + 1} ${name} `, style)
  }
  const all = [...machines.values()]
  const alive = all.filter((one) => one.phase === 'connected' && !isStale(one, now)).length
  const answering = `${alive}/${all.length}`
  const mode = isReadOnly ? ', read-only' : ''
  const count = [`${answering} machines${mode} `, `${answering}${mode} `, `${answering} `].find(
    ({ length }) => x + length + 1 <= canvas.columns,
  )
  if (count === undefined) return
  const tone = alive === all.length ? 'good' : 'warn'
  canvas.put(canvas.columns - count.length, 0, count, styleOf(look, tone))
}

/** Draws one cell for each machine, colored by its CPU usage. */
function drawStrip(canvas: Canvas, model: Model, height: number): void {
  const { look, machines, now } = model
  const label = 'CPU   '
  const width = Math.max(1, canvas.columns - label.length)
  canvas.put(0, 1, label, styleOf(look, 'dim'))
  for (const [index, machine] of [...machines.values()].slice(0, width * height).entries()) {
    const share =
      machine.phase === 'connected' && !isStale(machine, now) ? machine.cpu.at(-1) : undefined
    const { text, style } = heatCell(look, share)
    canvas.put(label.length + (index % width), 1 + Math.floor(index / width), text, style)
  }
}

function drawList(canvas: Canvas, model: Model): void {
  drawTitle(canvas, model)
  const height = stripHeight(model)
  if (height > 0) drawStrip(canvas, model, height)
  drawTable(canvas, model, listOf(model), 1 + height)
}

/** Returns the text of the last line: the keys that can be used on this page. */
function keysOf(model: Model): string {
  const { page, isReadOnly, view } = model
  const changes = (keys: string): string => (isReadOnly ? '' : `  ${keys}`)
  switch (page.kind) {
    case 'help':
      return 'Esc back'
    case 'logs':
      return 'Esc back  / search  n N next  Space follow  Enter unfold  f fold JSON'
    case 'details': {
      const own = hasLogs(view) ? '  l logs' : ''
      return `Esc back${own}${changes(keysForTarget(view))}`
    }
    case 'list': {
      const own = hasLogs(view) ? '  l logs' : ''
      const tab = view === 'machines' ? '' : '  Tab group'
      const more = changes(keysForTarget(view))
      return `? help  q quit  Enter details  / filter  s sort${tab}  Space mark${own}${more}`
    }
  }
}

const hasLogs = (view: Model['view']): boolean =>
  view === 'containers' || view === 'stacks' || view === 'services'

const keysForTarget = (view: Model['view']): string => {
  if (view === 'machines' || view === 'containers' || view === 'services')
    return 'e shell  x actions  : command'
  return view === 'images' ? 'x actions  : command' : ': command'
}

/** Returns the longest end of a text that fits into `cells` cells. */
function lastCells(text: string, cells: number): string {
  const characters = Array.from(oneLine(text))
  let [from, width] = [characters.length, 0]
  while (from > 0 && (width += cellWidth(characters[from - 1] ?? '')) <= cells) from -= 1
  return characters.slice(from).join('')
}

/**
 * Draws the line above the keys: the text that is being typed, or else the last message, or else a summary of the list.
 */
function drawStatus(canvas: Canvas, model: Model, y: number): void {
  const { look, dialog, message, page } = model
  const input = dialog && inputOf(dialog)
  if (input !== undefined) {
    // If the input is too long, its end is shown, because that is where the user is typing.
    canvas.put(0, y, lastCells(`${input}_`, canvas.columns - 1), styleOf(look, 'strong'))
    return
  }
  if (message !== undefined) {
    const text = fitCells(message.text, canvas.columns)
    canvas.put(0, y, text, styleOf(look, message.isBad ? 'bad' : 'accent'))
    return
  }
  if (page.kind !== 'list') return
  const { rows, all, state, cursor } = listOf(model)
  const parts = [
    rows.length === 0 ? '' : `${cursor + 1} of ${rows.length}`,
    state.marked.size === 0 ? '' : `${state.marked.size} marked`,
    state.filter === '' ? '' : `filter: ${state.filter} (${rows.length} of ${all})`,
    state.grouping === 'none' ? '' : `by ${state.grouping}`,
  ].filter((part) => part !== '')
  canvas.put(0, y, ` ${parts.join('  ')}`, styleOf(look, 'dim'))
}

function inputOf(dialog: Dialog): string | undefined {
  switch (dialog.kind) {
    case 'filter':
      return `Filter: ${dialog.text}`
    case 'search':
      return `Search: ${dialog.text}`
    case 'command':
      return `fleet ${dialog.text}`
    case 'replicas':
      return `Number of replicas for ${describeTargets(dialog.targets)}: ${dialog.text}`
    case 'confirm':
      return `${questionOf(dialog)}${dialog.text}`
    case 'menu':
      return undefined
  }
}

/** Draws the menu of actions over the page. */
function drawMenu(
  canvas: Canvas,
  { look }: Model,
  dialog: Dialog & { readonly kind: 'menu' },
): void {
  const lines = [
    describeTargets(dialog.targets),
    ...actionsFor(dialog.targets).map(({ key, label }) => `  ${key}  ${label}`),
    '  Esc  Back',
  ]
  const width = Math.min(canvas.columns, Math.max(...lines.map(cellWidth)) + 4)
  const x = Math.max(0, Math.floor((canvas.columns - width) / 2))
  const y = Math.max(0, Math.floor((canvas.rows - lines.length - 2) / 2))
  const [edge, side] = look.unicode ? ['─', '│'] : ['-', '|']
  const corners = look.unicode ? ['┌', '┐', '└', '┘'] : ['+', '+', '+', '+']
  const rule = edge.repeat(Math.max(0, width - 2))
  canvas.clear(x, y, width, lines.length + 2)
  canvas.put(x, y, `${corners[0]}${rule}${corners[1]}`)
  for (const [index, line] of lines.entries()) {
    canvas.put(x, y + 1 + index, side)
    const style = styleOf(look, index === 0 ? 'title' : 'plain')
    canvas.put(x + 2, y + 1 + index, fitCells(line, width - 4), style)
    canvas.put(x + width - 1, y + 1 + index, side)
  }
  canvas.put(x, y + 1 + lines.length, `${corners[2]}${rule}${corners[3]}`)
}

/** Draws the model. The result depends only on the model, which also contains the size of the window. */
export function draw(model: Model): Canvas {
  const { columns, rows, page, dialog, look } = model
  const canvas = new Canvas(columns, rows)
  switch (page.kind) {
    case 'list':
      drawList(canvas, model)
      break
    case 'details':
      drawDetails(canvas, model, page.top)
      break
    case 'logs':
      drawLogs(canvas, model, page)
      break
    case 'help': {
      const lines = helpLines(model)
      const top = Math.max(0, Math.min(page.top, lines.length - rows + 2))
      for (const [y, line] of lines.slice(top, top + rows - 2).entries()) {
        canvas.put(1, y, line, styleOf(look, line.startsWith(' ') ? 'plain' : 'title'))
      }
    }
  }
  for (const y of [rows - 2, rows - 1]) canvas.clear(0, y, columns, 1)
  drawStatus(canvas, model, rows - 2)
  canvas.put(0, rows - 1, fitCells(` ${keysOf(model)}`, columns), styleOf(look, 'dim'))
  if (dialog?.kind === 'menu') drawMenu(canvas, model, dialog)
  return canvas
}
