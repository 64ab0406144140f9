import type { Task } from './progress.ts'

/** How long a step may run before it is reported again, in milliseconds. */
const longestSilence = 10_000

/** How often a step whose detail changes may be reported, in milliseconds. */
const checkInterval = 1000

/** Reports steps that are still running, for outputs that append lines and do not redraw. */
export interface RunningTasks extends Disposable {
  /** The task was reported just now. */
  reported(task: Task): void
  ended(task: Task): void
}

/**
 * Calls `report` for each task that was not reported for ten seconds. With `onDetail`, it is also called, at most once
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
