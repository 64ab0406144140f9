import type { Progress } from '../../os/progress.ts'
import type { Outcome } from '../../operations/fan-out/fan-out.ts'
import { UserError, exitCodes, naming } from '../../errors.ts'
import { writeFailure, writeFailures } from '../../ui/failure.ts'
import { openProgress } from '../../ui/progress/progress.ts'
import type { Invocation } from '../command.ts'

/** The default number of machines to work on at the same time if providers do the work. */
const defaultConcurrency = 8

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** Progress reporting and cancellation for the work on one machine. */
export interface WorkCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Options for work on several machines. */
interface WorkOptions {
  readonly concurrency?: number | undefined
  /** The number of failures after which no work is started on any further machine. */
  readonly maxFail?: number | undefined
  /** Whether a failure is thrown if there is only one machine (default: true). */
  readonly throwsAlone?: boolean
}

/**
 * Works on machines, several at the same time, and shows the progress of each. Errors include the name of the machine.
 * If there is only one machine, its failure is thrown unless `throwsAlone` is false; otherwise, each failure is an
 * outcome. If interrupted, waits until all work has stopped, and throws kind `cancelled`.
 */
export async function workOnMachines<Subject extends { readonly name: string }, Value>(
  { fleet, io, format }: CommandContext,
  subjects: readonly Subject[],
  work: (subject: Subject, calls: WorkCalls) => Promise<Value>,
  { concurrency = defaultConcurrency, maxFail, throwsAlone = true }: WorkOptions = {},
): Promise<Outcome<Subject, Value>[]> {
  const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
  const names = subjects.map(({ name }) => name)
  using display = await openProgress(io, format, names)
  const started: Promise<Value>[] = []
  const track = (subject: Subject, signal: AbortSignal): Promise<Value> => {
    const working = display.track(subject.name, (progress) =>
      naming(subject.name, () => work(subject, { progress, signal })),
    )
    started.push(working)
    return working
  }
  const [only] = subjects
  const removeListener = onInterrupt({ fleet, io, format })
  try {
    if (throwsAlone && only !== undefined && subjects.length === 1) {
      return [{ machine: only, value: await track(only, fleet.signal) }]
    }
    return await fanOutInOrder(subjects, track, { signal: fleet.signal, concurrency, maxFail })
  } finally {
    await Promise.allSettled(started)
    removeListener()
  }
}

/** Acknowledges Ctrl-C, because stopping may take a while. Returns a function that removes the listener. */
function onInterrupt({ fleet: { signal }, io, format }: CommandContext): () => void {
  const acknowledge = () => {
    if (!format.json) io.stderr.write('stopping; press Ctrl-C again to exit immediately\n')
  }
  signal.addEventListener('abort', acknowledge)
  return () => signal.removeEventListener('abort', acknowledge)
}

/** Returns the results of the work that succeeded, and reports the failures. The exit code is 1 if there are any. */
export function summarize<Subject extends { readonly name: string }, Value>(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  outcomes: readonly Outcome<Subject, Value>[],
): { readonly values: Value[]; readonly failed: Subject[]; readonly code: number } {
  const failures = outcomes.filter((outcome) => 'error' in outcome)
  writeFailures(io, failures, { of: outcomes.length, json: format.json })
  return {
    values: outcomes.filter((outcome) => 'value' in outcome).map(({ value }) => value),
    failed: failures.map(({ machine }) => machine),
    code: failures.length === 0 ? exitCodes.ok : exitCodes.failed,
  }
}

/** Reports that nothing was changed because one of the changes is impossible. Returns the exit code. */
export function nothingChanged({ io, format }: Pick<Invocation, 'io' | 'format'>): number {
  writeFailure(io, new UserError('failed', 'nothing was changed'), format.json)
  return exitCodes.failed
}
