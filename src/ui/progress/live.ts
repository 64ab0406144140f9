import cliTruncate from 'cli-truncate'
import { createLogUpdate } from 'log-update'
import stringWidth from 'string-width'
import { colorsOf } from '../color.ts'
import type { Io } from '../io.ts'
import { type Task, type ProgressView, secondsSince } from './progress.ts'
import { type Text, render, compose } from '../styled.ts'
import { oneLine } from '../visible.ts'

/** The time between redraws, in milliseconds. */
const drawInterval = 125

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const

/** Formats the duration of a step. The result is empty for less than a second. */
const timeText = (seconds: number): string => (seconds < 1 ? '' : ` ${seconds}s`)

/**
 * Redraws a line for each running task. Lines for finished work stay above: one for each step if there is only one
 * task, or one for each task if there are several.
 */
export function openLive(io: Io, subjects: readonly string[]): ProgressView {
  const { stderr } = io
  const { dim, green, red, cyan } = colorsOf(io, 'stderr')
  const many = subjects.length > 1
  const labelWidth = Math.max(...subjects.map((subject) => stringWidth(subject))) + 1
  const draw = createLogUpdate(stderr.raw as NodeJS.WriteStream)
  const tasks = new Set<Task>()
  const kept: string[] = []
  let isHidden = false
  let frame = 0

  /** Formats a line that fits into the window: the text is shortened if necessary, but not the time. */
  function line(mark: Text, subject: string, text: Text, time: string): string {
    const room = Math.max(1, (stderr.columns ?? 80) - 3 - time.length)
    const label = `${oneLine(subject)}:${many ? ' '.repeat(Math.max(0, labelWidth - stringWidth(subject) - 1)) : ''}`
    const words = render(text) === '' ? label : render(compose`${label} ${text}`)
    return `${render(mark)} ${cliTruncate(words, room)}${render(dim(time))}`
  }

  function lineOf({ subject, step }: Task): string[] {
    if (step === undefined) return []
    const detail = step.detail === undefined ? '' : dim(`: ${oneLine(step.detail)}`)
    const mark = cyan(frames[frame % frames.length] ?? '')
    return [line(mark, subject, compose`${step.name}${detail}`, timeText(secondsSince(step.began)))]
  }

  /** Returns the lines that fit into the window. If some lines do not fit, the last line says how many. */
  function liveLines(): string[] {
    const lines = [...tasks].flatMap(lineOf)
    const rows = Math.max(2, (stderr.rows ?? 24) - 1)
    if (lines.length <= rows) return lines
    return [...lines.slice(0, rows - 1), render(dim(`… and ${lines.length - rows + 1} more`))]
  }

  function redraw(): void {
    if (isHidden) return
    for (const text of kept.splice(0)) draw.persist(text)
    const lines = liveLines()
    if (lines.length === 0) draw.clear()
    else draw(lines.join('\n'))
  }

  function keep(...parts: Parameters<typeof line>): void {
    kept.push(line(...parts))
    redraw()
  }

  const timer = setInterval(() => {
    frame += 1
    redraw()
  }, drawInterval)
  const sharing = io.screen.share({
    hide() {
      isHidden = true
      draw.clear()
      draw.done()
    },
    show() {
      isHidden = false
      redraw()
    },
  })

  return {
    stepStarted(task) {
      tasks.add(task)
      redraw()
    },
    stepUpdated: redraw,
    stepEnded({ subject }, step, seconds) {
      if (!many) keep(green('✔'), subject, step, timeText(seconds))
    },
    ended(task) {
      tasks.delete(task)
      const [first, ...more] = task.past
      const times = task.past.map(({ name, seconds }) => `${name}${timeText(seconds)}`)
      const steps = more.length === 0 ? (first?.name ?? '') : times.join(', ')
      const total = timeText(secondsSince(task.began))
      const time = total === '' || more.length === 0 ? total : `,${total} in total`
      if (many) keep(green('✔'), task.subject, dim(steps), time)
      else redraw()
    },
    failed(task) {
      tasks.delete(task)
      const { subject, step } = task
      if (step === undefined && !many) return
      keep(red('✖'), subject, step?.name ?? '', timeText(secondsSince(step?.began ?? task.began)))
    },
    [Symbol.dispose]() {
      clearInterval(timer)
      sharing[Symbol.dispose]()
      redraw()
      draw.clear()
      draw.done()
    },
  }
}
