import type { Task } from './progress.ts'

/** How long a step may go on before it is told again, in milliseconds. */
const silence = 10_000

/** How often a step with news may be told, in milliseconds. */
const newsInterval = 1000

/** Tells of steps that go on, for forms of output that tell and do not redraw. */
export interface RunningTasks extends Disposable {
  /** The course has been told of just now. */
  told(course: Task): void
  over(course: Task): void
}

/**
 * Calls `tell` for each course that nothing was told of for ten seconds, and where `news` are wanted for one whose
 * detail is another, at most once a second.
 */
export function watchGoingOn(
  tell: (course: Task) => void,
  { news }: { news: boolean },
): RunningTasks {
  const courses = new Map<Task, { at: number; detail: string | undefined }>()
  const told = (course: Task) =>
    void courses.set(course, { at: performance.now(), detail: course.step?.detail })
  const timer = setInterval(() => {
    for (const [course, last] of courses) {
      const isDue = performance.now() - last.at >= silence
      const isNews = news && course.step?.detail !== last.detail
      if (course.step === undefined || (!isDue && !isNews)) continue
      tell(course)
      told(course)
    }
  }, newsInterval)
  return {
    told,
    over: (course) => void courses.delete(course),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
