import type { LogTarget, Target } from '../../../operations/top/open-sources.ts'
import type { Key } from '../../../ui/screen/keys.ts'
import { listOf } from '../list.ts'
import { detailsHeight, detailsLines } from '../draw/details.ts'
import { helpLines } from '../draw/help.ts'
import { firstLogLine, logMatches, logsHeight, logTextHeight } from '../draw/logs.ts'
import type { Row } from '../views/view.ts'
import { type Action, actionsFor, begin, describeTargets, protectionOf } from './actions.ts'
import {
  type Dialog,
  type Effect,
  type Model,
  type Page,
  type StackModel,
  type ViewState,
  viewNames,
} from './model.ts'

/** The model after a key, and the side effects that the key requests. */
export interface Step {
  readonly model: Model
  readonly effects: readonly Effect[]
}

const stay = (model: Model, ...effects: readonly Effect[]): Step => ({ model, effects })

const showMessage = (model: Model, text: string, isBad = true): Step =>
  stay({ ...model, message: { text, isBad } })

const withView = (model: Model, change: Partial<ViewState>): Model => ({
  ...model,
  views: { ...model.views, [model.view]: { ...model.views[model.view], ...change } },
})

/** Returns the row that keys act on: the one whose details are shown, or else the selected one. */
function currentRow(model: Model): Row | undefined {
  const { rows, cursor } = listOf(model)
  const { page } = model
  return page.kind === 'details' ? rows.find(({ id }) => id === page.of) : rows[cursor]
}

/**
 * Returns the rows that keys act on: the one whose details are shown, or else the marked ones, or else the selected
 * one.
 */
function currentRows(model: Model): readonly Row[] {
  const { rows, state } = listOf(model)
  const row = currentRow(model)
  const marked = rows.filter(({ id }) => state.marked.has(id))
  if (model.page.kind !== 'details' && marked.length > 0) return marked
  return row === undefined ? [] : [row]
}

const targetsOf = (rows: readonly Row[]): readonly Target[] =>
  rows.flatMap(({ target }) => target ?? [])

/** Returns the targets of a typed command: the target of each row, or the row's machine if the row has no target. */
const commandTargets = (rows: readonly Row[]): readonly Target[] =>
  rows.flatMap((row): readonly Target[] => {
    if (row.target !== undefined) return [row.target]
    return row.machine ? [{ kind: 'machine', machine: row.machine.machine.name }] : []
  })

/** Returns the targets whose logs can be shown: containers, services, and the containers of stacks. */
function logTargetsOf(rows: readonly Row[]): readonly LogTarget[] {
  return rows.flatMap(({ view, item, target }): readonly LogTarget[] => {
    if (target?.kind === 'container' || target?.kind === 'service') return [target as LogTarget]
    if (view.name !== 'stacks') return []
    const { machine, containers } = item as StackModel
    return containers.map(({ id, name }) => ({
      ...{ kind: 'container', machine: machine.machine.name, id, name },
    }))
  })
}

/** Moves the selection. */
function moveCursor(model: Model, to: (cursor: number, height: number) => number): Model {
  const { rows, cursor, height, top } = listOf(model)
  const index = Math.max(0, Math.min(rows.length - 1, to(cursor, height)))
  const moved = withView(model, { cursor: { id: rows[index]?.id ?? '', index }, top })
  return withView(moved, { top: listOf(moved).top })
}

const cursorMoves: Readonly<Record<Key, (at: number, height: number) => number>> = {
  up: (at) => at - 1,
  k: (at) => at - 1,
  down: (at) => at + 1,
  j: (at) => at + 1,
  'page-up': (at, height) => at - height,
  'page-down': (at, height) => at + height,
  home: () => 0,
  g: () => 0,
  end: () => Number.MAX_SAFE_INTEGER,
  G: () => Number.MAX_SAFE_INTEGER,
}

/** Handles the keys that act on rows, both in the list and in the details. Returns undefined for all other keys. */
function pressCommand(model: Model, key: Key): Step | undefined {
  const { isReadOnly } = model
  switch (key) {
    case 'l': {
      const targets = logTargetsOf(currentRows(model))
      const [first] = targets
      if (first === undefined)
        return showMessage(model, 'To show logs, select a container, a stack or a service.')
      const sources = targets.flatMap(({ kind, machine, name }) =>
        kind === 'service' ? [] : `${machine}/${name}`,
      )
      const subject =
        targets.length === 1 && first.kind === 'container'
          ? `${first.machine}/${first.name}`
          : describeLogs(targets)
      const page: Page = {
        ...{ kind: 'logs', subject, sources, lines: [], dropped: 0, top: undefined },
        ...{ selected: undefined, isFolded: true, unfolded: new Set<number>(), search: '' },
      }
      return stay({ ...model, page }, { kind: 'logs', targets })
    }
    case 'e':
    case 'x':
    case ':':
      if (isReadOnly) return showMessage(model, 'This key is disabled by --read-only.')
      return key === 'e' ? openShell(model) : key === 'x' ? openMenu(model) : openCommand(model)
    default:
      return undefined
  }
}

const describeLogs = (targets: readonly LogTarget[]): string =>
  targets[0]?.kind === 'service' ? describeTargets(targets) : `${targets.length} containers`

/** A shell command that starts bash in a container, or sh if the image has no bash. */
const containerShell = 'command -v bash >/dev/null 2>&1 && exec bash || exec sh'

function openShell(model: Model): Step {
  const target = currentRow(model)?.target
  if (target === undefined || target.kind === 'image') {
    return showMessage(model, 'To open a shell, select a machine, a container or a service.')
  }
  const line =
    target.kind === 'machine'
      ? ['ssh', target.machine]
      : [
          ...['-m', target.machine, 'exec', '-it'],
          ...[target.kind === 'service' ? target.name : target.id, 'sh', '-c', containerShell],
        ]
  return stay(model, { kind: 'run', lines: [line], pauses: false })
}

function openMenu(model: Model): Step {
  const targets = targetsOf(currentRows(model))
  if (targets.length === 0) {
    return showMessage(
      model,
      'To show actions, select a machine, a container, an image or a service.',
    )
  }
  return stay({ ...model, dialog: { kind: 'menu', targets } })
}

const openCommand = (model: Model): Step =>
  stay({ ...model, dialog: { kind: 'command', text: '' } })

function openDetails(model: Model): Step {
  const row = currentRow(model)
  if (row === undefined) return showMessage(model, 'Nothing is selected.')
  const { id, target } = row
  const opened: Model = { ...model, page: { kind: 'details', of: id, top: 0 } }
  return target === undefined ? stay(opened) : stay(opened, { kind: 'details', target, of: id })
}

function toggleMark(model: Model): Step {
  const row = currentRow(model)
  if (row === undefined) return showMessage(model, 'Nothing is selected.')
  const marked = new Set(listOf(model).state.marked)
  if (!marked.delete(row.id)) marked.add(row.id)
  return stay(moveCursor(withView(model, { marked }), (at) => at + 1))
}

function switchView(model: Model, index: number): Step {
  const view = viewNames[(index + viewNames.length) % viewNames.length] ?? 'machines'
  return stay({ ...model, view, page: { kind: 'list' } })
}

function pressInList(model: Model, key: Key): Step {
  const { view, state } = listOf(model)
  const move = cursorMoves[key]
  if (move !== undefined) return stay(moveCursor(model, move))
  if (/^[1-6]$/.test(key)) return switchView(model, Number(key) - 1)
  const sorts = view.columns.length + 1
  switch (key) {
    case 'q':
      return stay(model, { kind: 'quit' })
    case 'left':
      return switchView(model, viewNames.indexOf(model.view) - 1)
    case 'right':
      return switchView(model, viewNames.indexOf(model.view) + 1)
    case 's': {
      const sort = ((state.sort + 2) % sorts) - 1
      return stay(withView(model, { sort, isReversed: false }))
    }
    case 'S':
      return stay(withView(model, { isReversed: !state.isReversed }))
    case 'tab':
    case 'shift-tab': {
      const { groupings } = view
      if (groupings.length === 1)
        return showMessage(model, `Grouping is not available for ${view.name}.`)
      const step = key === 'tab' ? 1 : groupings.length - 1
      const next = (groupings.indexOf(state.grouping) + step) % groupings.length
      return stay(withView(model, { grouping: groupings[next] ?? 'none' }))
    }
    case ' ':
      return toggleMark(model)
    case 'enter':
      return openDetails(model)
    case '/':
      return stay({
        ...model,
        dialog: { kind: 'filter', text: state.filter, before: state.filter },
      })
    case 'escape':
      if (state.marked.size > 0) return stay(withView(model, { marked: new Set() }))
      return stay(withView(model, { filter: '' }))
    case 'r':
      return stay(
        {
          ...model,
          message: { text: 'Reconnecting to machines that do not answer.', isBad: false },
        },
        { kind: 'retry' },
      )
    case '?':
      return stay({ ...model, page: { kind: 'help', top: 0 } })
    default:
      return pressCommand(model, key) ?? stay(model)
  }
}

/**
 * Returns the new top of a page of `count` lines, of which `height` lines are shown. Returns undefined if the key does
 * not scroll.
 */
const scroll = (key: Key, top: number, count: number, height: number): number | undefined => {
  const move = cursorMoves[key]
  if (move === undefined) return undefined
  return Math.max(0, Math.min(count - height, move(top, height)))
}

const toList = (model: Model): Model => ({ ...model, page: { kind: 'list' } })

function pressInDetails(model: Model, page: Page & { readonly kind: 'details' }, key: Key): Step {
  const top = scroll(key, page.top, detailsLines(model).length, detailsHeight(model))
  if (top !== undefined) return stay({ ...model, page: { ...page, top } })
  if (key === 'escape' || key === 'q' || key === 'enter') return stay(toList(model))
  return pressCommand(model, key) ?? stay(model)
}

/** Selects a log line, and stops following the logs. Scrolls only as far as necessary to show the line. */
function selectLogLine(model: Model, page: Page & { readonly kind: 'logs' }, index: number): Model {
  let top = Math.min(firstLogLine(model, page), Math.max(0, index))
  const heights = (from: number): number => {
    let sum = 0
    for (let line = from; line <= index; line += 1) sum += logTextHeight(model, page, line)
    return sum
  }
  top = Math.max(top, index - logsHeight(model))
  while (top < index && heights(top) > logsHeight(model)) top += 1
  const { dropped } = page
  return { ...model, page: { ...page, top: top + dropped, selected: index + dropped } }
}

function pressInLogs(model: Model, page: Page & { readonly kind: 'logs' }, key: Key): Step {
  const { dropped } = page
  const last = page.lines.length - 1
  const at = Math.max(0, Math.min(last, (page.selected ?? Infinity) - dropped))
  const show = (change: Partial<typeof page>): Step =>
    stay({ ...model, page: { ...page, ...change } })
  const follow = (): Step => show({ top: undefined, selected: undefined })
  const move = cursorMoves[key]
  if (move !== undefined) {
    const moved = Math.max(0, Math.min(last, move(at, logsHeight(model))))
    return moved === last ? follow() : stay(selectLogLine(model, page, moved))
  }
  switch (key) {
    case 'escape':
    case 'q':
      return stay(toList(model), { kind: 'logs', targets: [] })
    case 'f':
      return show({ isFolded: !page.isFolded, unfolded: new Set() })
    case ' ':
      return page.top === undefined ? stay(selectLogLine(model, page, at)) : follow()
    case 'enter': {
      if (last < 0) return stay(model)
      const unfolded = new Set(page.unfolded)
      if (!unfolded.delete(at + dropped)) unfolded.add(at + dropped)
      return stay(selectLogLine(model, { ...page, unfolded }, at))
    }
    case '/':
      return stay({ ...model, dialog: { kind: 'search', text: '', before: page.search } })
    case 'n':
    case 'N': {
      if (page.search === '') return showMessage(model, 'Press / to search first.')
      const found = logMatches(page)
      const next =
        key === 'N' ? found.findLast((index) => index < at) : found.find((index) => index > at)
      if (next === undefined) return showMessage(model, `No more lines match ${page.search}.`)
      return show({ top: next + dropped, selected: next + dropped })
    }
    default:
      return stay(model)
  }
}

/** Returns the text of an input field after a key. */
function edit(text: string, key: Key): string {
  if (key === 'backspace') return text.replace(/.$/su, '')
  if (key === 'ctrl-u') return ''
  if (key === 'ctrl-w') return text.replace(/\S*\s*$/, '')
  return /^.$/su.test(key) ? text + key : text
}

const closed = ({ dialog: _, ...model }: Model): Model => model

function pressInDialog(model: Model, dialog: Dialog, key: Key): Step {
  if (dialog.kind === 'menu') {
    const action = actionsFor(dialog.targets).find((one) => one.key === key)
    if (action !== undefined) return act(closed(model), action, dialog.targets)
    return stay(key === 'escape' || key === 'q' || key === 'x' ? closed(model) : model)
  }
  if (dialog.kind === 'confirm' && dialog.names.length === 0) {
    const { change, label, targets } = dialog
    if (key.toLowerCase() !== 'y') return showMessage(closed(model), 'Nothing was changed.', false)
    return stay(closed(model), { kind: 'change', change, label, targets })
  }
  if (key === 'escape') {
    const back = closed(model)
    if (dialog.kind === 'filter') return stay(withView(back, { filter: dialog.before }))
    if (dialog.kind === 'search') return stay(search(back, dialog.before))
    return dialog.kind === 'confirm' || dialog.kind === 'replicas'
      ? showMessage(back, 'Nothing was changed.', false)
      : stay(back)
  }
  if (key === 'enter') return enter(model, dialog)
  const text = edit(dialog.text, key)
  const typed: Model = { ...model, dialog: { ...dialog, text } }
  if (dialog.kind === 'filter') return stay(withView(typed, { filter: text, top: 0 }))
  return stay(dialog.kind === 'search' ? search(typed, text) : typed)
}

/**
 * Searches the logs. If the newest match would not be in the window while the end of the logs is followed, selects it
 * and moves it to the top.
 */
function search(model: Model, text: string): Model {
  const { page } = model
  if (page.kind !== 'logs') return model
  const found = text === '' ? undefined : logMatches({ ...page, search: text }).at(-1)
  const isShown = found === undefined || found >= firstLogLine(model, { ...page, top: undefined })
  if (isShown) return { ...model, page: { ...page, search: text } }
  const top = found + page.dropped
  return { ...model, page: { ...page, search: text, top, selected: top } }
}

function enter(model: Model, dialog: Exclude<Dialog, { readonly kind: 'menu' }>): Step {
  const next = closed(model)
  switch (dialog.kind) {
    case 'filter':
    case 'search':
      return stay(next)
    case 'command': {
      const text = dialog.text.trim()
      if (text === '') return stay(next)
      return stay(next, { kind: 'command', text, targets: commandTargets(currentRows(next)) })
    }
    case 'replicas': {
      if (!/^\d{1,5}$/.test(dialog.text)) {
        return showMessage(
          next,
          `Nothing was changed: ${JSON.stringify(dialog.text)} is not a valid number of replicas.`,
        )
      }
      const change = { replicas: Number(dialog.text) }
      return act(next, { key: 's', label: 'Scale', change, isDestructive: true }, dialog.targets)
    }
    case 'confirm': {
      const [name, ...names] = dialog.names
      if (dialog.text !== name) {
        const why = `${name} ${protectionOf(dialog.targets)}, and its name was not typed`
        return showMessage(next, `Nothing was changed: ${why}.`)
      }
      const { change, label, targets } = dialog
      if (names.length > 0) return stay({ ...model, dialog: { ...dialog, names, text: '' } })
      return stay(next, { kind: 'change', change, label, targets })
    }
  }
}

function act(model: Model, action: Action, targets: readonly Target[]): Step {
  const begun = begin(model, action, targets)
  if ('dialog' in begun) return stay({ ...model, dialog: begun.dialog })
  if (begun.effect.kind === 'run' && begun.effect.lines.length === 0) {
    return showMessage(model, 'An image without a name cannot be pulled.')
  }
  const text = `${action.label} ${describeTargets(targets)} …`
  return stay({ ...model, message: { text, isBad: false } }, begun.effect)
}

/** Handles a key. Returns the new model, and the side effects that the key requests. */
export function pressKey(before: Model, key: Key): Step {
  const { message: _, ...model } = before
  if (key === 'ctrl-c') return stay(model, { kind: 'quit' })
  if (key === 'ctrl-z') return stay(model, { kind: 'suspend' })
  if (key === 'ctrl-l') return stay(model, { kind: 'redraw' })
  if (model.dialog !== undefined) return pressInDialog(model, model.dialog, key)
  const { page } = model
  switch (page.kind) {
    case 'list':
      return pressInList(model, key)
    case 'details':
      return pressInDetails(model, page, key)
    case 'logs':
      return pressInLogs(model, page, key)
    case 'help': {
      const top = scroll(key, page.top, helpLines(model).length, Math.max(1, model.rows - 2))
      return stay(top === undefined ? toList(model) : { ...model, page: { ...page, top } })
    }
  }
}
