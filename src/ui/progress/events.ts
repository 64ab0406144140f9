import { watchRunningTasks } from './running-tasks.ts'
import type { Io } from '../io.ts'
import { type Task, type ProgressView, secondsSince } from './progress.ts'

/**
 * Writes a line of JSON for each event: `step` (repeated while the step is running), `ended` or `failed`. Each line
 * names the `machine`, or the `task` if the work does not concern a single machine. `seconds` is the duration of the
 * step so far; in the last event, it is the duration of the whole task.
 */
export function openEvents({ stderr }: Io): ProgressView {
  const write = (event: string, { subject, isMachine, step }: Task, began: number) => {
    const line = {
      event,
      ...(isMachine ? { machine: subject } : { task: subject }),
      step: step?.name,
      detail: step?.detail,
      seconds: secondsSince(began),
      time: new Date().toISOString(),
    }
    stderr.write(`${JSON.stringify(line)}\n`)
  }
  const writeStep = (task: Task) => write('step', task, task.step?.began ?? task.began)
  const running = watchRunningTasks(writeStep, { onDetail: true })
  const close = (event: string, task: Task) => {
    running.ended(task)
    if (task.step === undefined && task.past.length === 0) return
    write(event, task, task.began)
  }
  return {
    stepStarted(task) {
      writeStep(task)
      running.reported(task)
    },
    stepUpdated: () => {},
    stepEnded: () => {},
    ended: (task) => close('ended', task),
    failed: (task) => close('failed', task),
    [Symbol.dispose]: () => running[Symbol.dispose](),
  }
}
