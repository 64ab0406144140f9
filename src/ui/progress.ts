import { colorsOf } from './color.ts'
import type { Io } from './io.ts'

/** Shows the steps of one piece of work. */
export interface ProgressDisplay extends Disposable {
  /** Ends the step before and begins this one. */
  step: (text: string) => void
  /** Renews the text of the step that is under way. */
  update: (text: string) => void
  /** Takes the display away, for a prompt or an answer; the next step brings it back. */
  pause: () => void
}

/** How often a plain log is told of a step that goes on, in milliseconds. */
const plainInterval = 10_000

/** A plain line a step, for logs and pipes. */
function plainProgress(io: Io, subject: string): ProgressDisplay {
  let lastLine = 0
  const step = (text: string) => {
    lastLine = Date.now()
    io.stderr.write(`${subject}: ${text}\n`)
  }
  return {
    step,
    update(text) {
      if (Date.now() - lastLine >= plainInterval) step(text)
    },
    pause: () => {},
    [Symbol.dispose]: () => {},
  }
}

/** A spinner with the seconds of the step; finished steps stay as lines. */
async function liveProgress(io: Io, subject: string): Promise<ProgressDisplay> {
  const { default: yoctoSpinner } = await import('yocto-spinner')
  const colors = colorsOf(io, 'stderr')
  const spinner = yoctoSpinner({ stream: io.stderr })
  let current: { text: string; since: number } | undefined
  const line = () => {
    const seconds = Math.floor((Date.now() - (current?.since ?? 0)) / 1000)
    return `${subject}: ${current?.text}${seconds < 1 ? '' : colors.dim(` ${seconds}s`)}`
  }
  const clock = setInterval(() => {
    if (spinner.isSpinning) spinner.text = line()
  }, 1000)
  clock.unref()
  const finish = () => {
    if (current !== undefined && spinner.isSpinning) spinner.success(line())
    current = undefined
  }
  return {
    step(text) {
      finish()
      current = { text, since: Date.now() }
      spinner.start(line())
    },
    update(text) {
      if (current === undefined) return
      current.text = text
      spinner.text = line()
    },
    pause: finish,
    [Symbol.dispose]() {
      clearInterval(clock)
      if (spinner.isSpinning) spinner.stop()
    },
  }
}

/**
 * Runs `work` and shows its steps on stderr. A failed step's line is taken away:
 * the error that follows says more.
 */
export async function withProgress<T>(
  io: Io,
  subject: string,
  work: (progress: ProgressDisplay) => Promise<T>,
): Promise<T> {
  using display =
    io.stderr.isTTY === true ? await liveProgress(io, subject) : plainProgress(io, subject)
  const result = await work(display)
  display.pause()
  return result
}
