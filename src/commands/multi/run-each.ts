import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { collectOutcomes } from '../../operations/fan-out/collect-outcomes.ts'
import type { TakeLine } from '../../operations/fan-out/run-lines.ts'
import { writeResults } from '../../ui/failure.ts'
import { openMachineOutput } from '../../ui/output-by-machine.ts'
import type { Invocation } from '../command.ts'

/** Runs a command on a machine, passes on its output line by line, and resolves to the command's exit code. */
type RunLines = (machine: Machine, signal: AbortSignal, take: TakeLine) => Promise<number>

/**
 * Runs a command on several machines and writes its output: prefixed with the names of the machines, folded, or as
 * JSON. Returns the exit code: 0, or 1 if the command failed on some machines, or 130 if interrupted. `what` is the
 * name of the command in messages.
 */
export async function runEach(
  { fleet, io, format, targets }: Pick<Invocation, 'fleet' | 'io' | 'format' | 'targets'>,
  machines: readonly Machine[],
  what: string,
  run: RunLines,
): Promise<number> {
  const output = openMachineOutput(
    io,
    machines.map(({ name }) => name),
    format,
  )
  const work = async (machine: Machine, signal: AbortSignal): Promise<void> => {
    const code = await run(machine, signal, (stream, line) =>
      output.line(machine.name, stream, line),
    )
    output.end(machine.name, code)
    if (code !== 0) {
      throw new UserError('failed', `${what} exited with code ${code}`, { machine: machine.name })
    }
  }
  const gathered = await collectOutcomes(fleet, machines, work, {
    ...targets,
    concurrency: targets.parallel,
  })
  output.finish()
  return writeResults(io, gathered, format)
}
