import type { Io } from '../io.ts'

/** Tells the step that the work is at: a new one ends the one before, the same one with another detail renews it. */
export type ReportStep = (step: string, detail?: string) => void

/** A step that is under way. */
interface Step {
  readonly name: string
  detail: string | undefined
  /** As `performance.now()` tells it. */
  readonly began: number
}

/** How far the work on one subject is, a machine for instance. */
export interface Task {
  readonly subject: string
  readonly began: number
  step: Step | undefined
  readonly past: { readonly name: string; readonly seconds: number }[]
}

/** Shows courses on stderr, in one form. */
export interface ProgressView extends Disposable {
  /** A new step is under way. */
  began(course: Task, step: Step): void
  /** The step has another detail. */
  renewed(course: Task): void
  /** A step ended, after so many seconds. */
  passed(course: Task, step: string, seconds: number): void
  ended(course: Task): void
  /** It failed at the step that is under way. */
  failed(course: Task): void
}

/** Shows the work on one subject or on several at once. */
export interface ProgressDisplay extends Disposable {
  /** Does the work on `subject` and shows its steps, until it ends or fails. */
  track<T>(subject: string, work: (report: ReportStep) => Promise<T>): Promise<T>
}

/** How long ago `began` was, in whole seconds. */
export const secondsSince = (began: number): number =>
  Math.floor((performance.now() - began) / 1000)

async function follow<T>(
  view: ProgressView,
  subject: string,
  work: (report: ReportStep) => Promise<T>,
): Promise<T> {
  const course: Task = { subject, began: performance.now(), step: undefined, past: [] }
  let isOver = false
  const endStep = () => {
    const { step } = course
    if (step === undefined) return
    const seconds = secondsSince(step.began)
    course.step = undefined
    course.past.push({ name: step.name, seconds })
    view.passed(course, step.name, seconds)
  }
  const report: ReportStep = (name, detail) => {
    if (isOver) return // work that was told to stop may still speak
    if (course.step?.name === name) {
      if (course.step.detail === detail) return
      course.step.detail = detail
      view.renewed(course)
      return
    }
    endStep()
    course.step = { name, detail, began: performance.now() }
    view.began(course, course.step)
  }
  try {
    const result = await work(report)
    endStep()
    view.ended(course)
    return result
  } catch (error) {
    view.failed(course)
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
 * Opens the display of the work on `subjects`: live on a terminal, a line for each step in a pipe,
 * with --json an event a line.
 */
export async function openProgress(
  io: Io,
  format: { readonly json: boolean },
  subjects: readonly string[],
): Promise<ProgressDisplay> {
  const view = await openView(io, format, subjects)
  return {
    track: (subject, work) => follow(view, subject, work),
    [Symbol.dispose]: () => view[Symbol.dispose](),
  }
}

/** Does the work on one subject and shows its steps, as {@link openProgress} does. */
export async function withProgress<T>(
  io: Io,
  format: { readonly json: boolean },
  subject: string,
  work: (report: ReportStep) => Promise<T>,
): Promise<T> {
  using display = await openProgress(io, format, [subject])
  return await display.track(subject, work)
}
