import { watchGoingOn } from './running-tasks.ts'
import type { Io } from '../io.ts'
import { type Task, type ProgressView, secondsSince } from './progress.ts'
import { oneLine } from '../visible.ts'

const stepText = ({ subject, step }: Task): string =>
  `${subject}: ${step?.name}${step?.detail === undefined ? '' : `: ${oneLine(step.detail)}`}`

/** A line for each step, for logs and pipes: none of them is silent for long. */
export function openLines({ stderr }: Io, { many }: { many: boolean }): ProgressView {
  const write = (line: string) => stderr.write(`${line}\n`)
  const writeCurrent = (course: Task) =>
    write(`${stepText(course)} (${secondsSince(course.step?.began ?? course.began)}s)`)
  const goingOn = watchGoingOn(writeCurrent, { news: false })
  return {
    began(course) {
      write(stepText(course))
      goingOn.told(course)
    },
    renewed: () => {},
    passed({ subject }, step, seconds) {
      if (seconds >= 1) write(`${subject}: ${step} (${seconds}s)`)
    },
    ended(course) {
      goingOn.over(course)
      if (many) write(`${course.subject}: done (${secondsSince(course.began)}s)`)
    },
    failed(course) {
      goingOn.over(course)
      const { subject, step } = course
      if (step !== undefined) {
        write(`${subject}: failed at: ${step.name} (${secondsSince(step.began)}s)`)
      }
    },
    [Symbol.dispose]: () => goingOn[Symbol.dispose](),
  }
}
