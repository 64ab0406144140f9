import { watchGoingOn } from './running-tasks.ts'
import type { Io } from '../io.ts'
import { type Task, type ProgressView, secondsSince } from './progress.ts'

/** An event a line, for programs: `step` (also when one goes on), `ended`, `failed`. `seconds` are those of the step, at the end those of all. */
export function openEvents({ stderr }: Io): ProgressView {
  const write = (event: string, { subject, step }: Task, began: number) => {
    const line = {
      event,
      machine: subject,
      step: step?.name,
      detail: step?.detail,
      seconds: secondsSince(began),
      time: new Date().toISOString(),
    }
    stderr.write(`${JSON.stringify(line)}\n`)
  }
  const writeStep = (course: Task) => write('step', course, course.step?.began ?? course.began)
  const goingOn = watchGoingOn(writeStep, { news: true })
  const close = (event: string, course: Task) => {
    goingOn.over(course)
    if (course.step === undefined && course.past.length === 0) return
    write(event, course, course.began)
  }
  return {
    began(course) {
      writeStep(course)
      goingOn.told(course)
    },
    renewed: () => {},
    passed: () => {},
    ended: (course) => close('ended', course),
    failed: (course) => close('failed', course),
    [Symbol.dispose]: () => goingOn[Symbol.dispose](),
  }
}
