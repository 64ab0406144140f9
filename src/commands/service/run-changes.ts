import { exitCodes } from '../../errors.ts'
import type { ChangeOptions, ChangedService } from '../../operations/services/change-service.ts'
import type { Outcome } from '../../operations/fan-out/fan-out.ts'
import type { OpenSwarm } from '../../operations/services/open-swarm.ts'
import { writeFailure } from '../../ui/failure.ts'
import { openProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, flag, parsed } from '../command.ts'
import { parseSeconds } from '../options/numbers.ts'
import { swarmOf } from './swarm-of.ts'

/** The options of commands that change services. */
export const changeOptions = {
  detach: flag('-d, --detach', 'do not wait for the tasks'),
  wait: parsed('--wait <seconds>', 'time limit for the tasks (default: 300)', parseSeconds),
} as const

interface ChangeArguments {
  readonly detach: boolean
  readonly wait: number | undefined
}

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>

/** Works on several services at the same time, and shows the progress of each. */
async function showingProgress<Subject extends { readonly name: string }>(
  { fleet, io, format }: CommandContext,
  subjects: readonly Subject[],
  work: (subject: Subject, calls: ChangeOptions) => Promise<ChangedService>,
): Promise<readonly Outcome<Subject, ChangedService>[]> {
  const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
  const names = subjects.map(({ name }) => name)
  using display = await openProgress(io, format, names)
  return await fanOutInOrder(
    subjects,
    (subject, signal) =>
      display.track(subject.name, (progress) => work(subject, { progress, signal }), {
        isMachine: false,
      }),
    { signal: fleet.signal, concurrency: subjects.length },
  )
}

/** Changes several services at the same time, shows the progress, and prints the results. Returns the exit code. */
export async function runChanges<Subject extends { readonly name: string }>(
  context: CommandContext,
  subjects: readonly Subject[],
  { detach, wait }: ChangeArguments,
  change: (swarm: OpenSwarm, subject: Subject, options: ChangeOptions) => Promise<ChangedService>,
): Promise<number> {
  const { io, format } = context
  const { defaultWait } = await import('../../operations/services/change-service.ts')
  const swarm = await swarmOf(context)
  const waitMs = detach ? undefined : (wait ?? defaultWait) * 1000
  const outcomes = await showingProgress(context, subjects, (subject, calls) =>
    change(swarm, subject, { ...calls, waitMs }),
  )
  const failures = outcomes.flatMap((outcome) => ('error' in outcome ? outcome.error : []))
  const values = outcomes.flatMap((outcome) => ('value' in outcome ? outcome.value : []))
  const [only] = failures
  if (only !== undefined && outcomes.length === 1) throw only
  for (const error of failures) writeFailure(io, error, format.json)
  if (format.json) writeJson(io, values)
  else {
    for (const { service, state, running = 0, desired = 0 } of values) {
      const text = state === 'detached' ? 'changed' : `${running} of ${desired} tasks are ready`
      io.stderr.write(`${service}: ${text}\n`)
    }
  }
  return failures.length === 0 ? exitCodes.ok : exitCodes.failed
}
