import { watchRunningTasks } from './running-tasks.ts'
import type { Io } from '../io.ts'
import { type Task, type ProgressView, secondsSince } from './progress.ts'
import { oneLine } from '../visible.ts'

const stepText = ({ subject, step }: Task): string =>
  `${subject}: ${step?.name}${step?.detail === undefined ? '' : `: ${oneLine(step.detail)}`}`

/** Writes a line for each step, and further lines from time to time while the step is running. For logs and pipes. */
export function openLines({ stderr }: Io, { many }: { many: boolean }): ProgressView {
  const write = (line: string) => stderr.write(`${line}\n`)
  const writeCurrent = (task: Task) =>
    write(`${stepText(task)} (${secondsSince(task.step?.began ?? task.began)}s)`)
  const running = watchRunningTasks(writeCurrent, { onDetail: false })
  return {
    stepStarted(task) {
      write(stepText(task))
      running.reported(task)
    },
    stepUpdated: () => {},
    stepEnded({ subject }, step, seconds) {
      if (seconds >= 1) write(`${subject}: ${step} (${seconds}s)`)
    },
    ended(task) {
      running.ended(task)
      if (many) write(`${task.subject}: done (${secondsSince(task.began)}s)`)
    },
    failed(task) {
      running.ended(task)
      const { subject, step } = task
      if (step !== undefined) {
        write(`${subject}: failed: ${step.name} (${secondsSince(step.began)}s)`)
      }
    },
    [Symbol.dispose]: () => running[Symbol.dispose](),
  }
}
