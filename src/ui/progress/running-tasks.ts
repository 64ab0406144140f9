import type { Task } from './progress.ts'

/** How long a step may run before it is reported again, in milliseconds. */
const longestSilence = 10_000

/** The minimum time between reports of a step whose detail keeps changing, in milliseconds. */
const checkInterval = 1000

/** Reports steps that are still running. For outputs to which lines are only appended. */
export interface RunningTasks extends Disposable {
  /** Notes that a task has just been reported by other means. */
  reported(task: Task): void
  ended(task: Task): void
}

/**
 * Calls `report` for each task that has not been reported for ten seconds. With `onDetail`, also calls it, at most once
 * a second, for each task whose detail has changed.
 */
export function watchRunningTasks(
  report: (task: Task) => void,
  { onDetail }: { onDetail: boolean },
): RunningTasks {
  const tasks = new Map<Task, { at: number; detail: string | undefined }>()
  const reported = (task: Task) =>
    void tasks.set(task, { at: performance.now(), detail: task.step?.detail })
  const timer = setInterval(() => {
    for (const [task, last] of tasks) {
      const isDue = performance.now() - last.at >= longestSilence
      const hasNewDetail = onDetail && task.step?.detail !== last.detail
      if (task.step === undefined || (!isDue && !hasNewDetail)) continue
      report(task)
      reported(task)
    }
  }, checkInterval)
  return {
    reported,
    ended: (task) => void tasks.delete(task),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
