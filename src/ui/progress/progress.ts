import type { Progress } from '../../os/progress.ts'
import type { Io } from '../io.ts'

/** A step that is running. */
interface Step {
  readonly name: string
  detail: string | undefined
  /** The start time, from `performance.now()`. */
  readonly began: number
}

/** The work on one subject, which may be a machine. */
export interface Task {
  readonly subject: string
  /** Whether the subject is a machine. */
  readonly isMachine: boolean
  readonly began: number
  step: Step | undefined
  readonly past: { readonly name: string; readonly seconds: number }[]
}

/** Shows tasks on stderr. */
export interface ProgressView extends Disposable {
  /** Called when a new step has started. */
  stepStarted(task: Task, step: Step): void
  /** Called when the detail of the current step has changed. */
  stepUpdated(task: Task): void
  stepEnded(task: Task, step: string, seconds: number): void
  ended(task: Task): void
  /** Called when the work has failed in its current step. */
  failed(task: Task): void
}

/** Shows the progress of work on one or more subjects. */
export interface ProgressDisplay extends Disposable {
  /** Runs the work on `subject`, and shows its steps until it ends or fails. */
  track<T>(
    subject: string,
    work: (report: Progress) => Promise<T>,
    options?: { readonly isMachine: boolean },
  ): Promise<T>
}

/** Returns the time since `began`, in whole seconds. */
export const secondsSince = (began: number): number =>
  Math.floor((performance.now() - began) / 1000)

async function trackTask<T>(
  view: ProgressView,
  { subject, isMachine }: Pick<Task, 'subject' | 'isMachine'>,
  work: (report: Progress) => Promise<T>,
): Promise<T> {
  const task: Task = { subject, isMachine, began: performance.now(), step: undefined, past: [] }
  let isOver = false
  const endStep = () => {
    const { step } = task
    if (step === undefined) return
    const seconds = secondsSince(step.began)
    task.step = undefined
    task.past.push({ name: step.name, seconds })
    view.stepEnded(task, step.name, seconds)
  }
  const report: Progress = (name, detail) => {
    if (isOver) return // cancelled work may still report
    if (task.step?.name === name) {
      if (task.step.detail === detail) return
      task.step.detail = detail
      view.stepUpdated(task)
      return
    }
    endStep()
    task.step = { name, detail, began: performance.now() }
    view.stepStarted(task, task.step)
  }
  try {
    const result = await work(report)
    endStep()
    view.ended(task)
    return result
  } catch (error) {
    view.failed(task)
    throw error
  } finally {
    isOver = true
  }
}

async function openView(
  io: Io,
  { json }: { readonly json: boolean },
  subjects: readonly string[],
): Promise<ProgressView> {
  if (json) return (await import('./events.ts')).openEvents(io)
  if (io.stderr.isTTY && io.env['TERM'] !== 'dumb') {
    return (await import('./live.ts')).openLive(io, subjects)
  }
  return (await import('./lines.ts')).openLines(io, { many: subjects.length > 1 })
}

/**
 * Opens a display for the work on `subjects`: redrawn lines on a terminal, a line for each step in a pipe, or a line of
 * JSON for each event with --json.
 */
export async function openProgress(
  io: Io,
  format: { readonly json: boolean },
  subjects: readonly string[],
): Promise<ProgressDisplay> {
  const view = await openView(io, format, subjects)
  return {
    track: (subject, work, { isMachine } = { isMachine: true }) =>
      trackTask(view, { subject, isMachine }, work),
    [Symbol.dispose]: () => view[Symbol.dispose](),
  }
}

/**
 * Runs the work on one subject, and shows its steps as {@link openProgress} does. `isMachine`: whether the subject is a
 * machine (default: true).
 */
export async function withProgress<T>(
  io: Io,
  format: { readonly json: boolean },
  subject: string,
  work: (report: Progress) => Promise<T>,
  options?: { readonly isMachine: boolean },
): Promise<T> {
  using display = await openProgress(io, format, [subject])
  return await display.track(subject, work, options)
}
