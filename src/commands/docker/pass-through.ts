import { UserError, exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { writeFailures } from '../../ui/failure.ts'
import { openPrefixedLines } from '../../ui/prefixed-lines.ts'
import { type Command, type Invocation, any, defineCommand } from '../definition.ts'

/** Fleet's own failures, as docker's are: the command's codes go up to 124. */
const dockerFailure = 125

/** Runs docker on every machine at once, each line of output behind the machine's name. */
async function runEverywhere(
  { fleet, io, format, targets }: Invocation,
  machines: readonly Machine[],
  words: readonly string[],
): Promise<number> {
  const { fanOutInOrder } = await import('../../operations/fan-out.ts')
  const { runDockerLines } = await import('../../operations/run-docker.ts')
  const lines = openPrefixedLines(
    io,
    machines.map(({ name }) => name),
  )
  const work = async (machine: Machine) => {
    const code = await runDockerLines(fleet, machine, words, io, (stream, line) =>
      lines.write(machine.name, stream, line),
    )
    if (code !== 0) {
      throw new UserError('failed', `docker exited with ${code}`, { machine: machine.name })
    }
  }
  const outcomes = await fanOutInOrder(machines, work, {
    signal: fleet.signal,
    concurrency: targets.parallel,
  })
  const failures = outcomes.filter((outcome) => 'error' in outcome)
  writeFailures(io, failures, { of: machines.length, json: format.json })
  return failures.length === 0 ? exitCodes.ok : exitCodes.failed
}

/**
 * A command that hands its words to docker unread, behind `prefix`: on one machine as if
 * docker ran there, on several with prefixed lines.
 */
export const passThrough = (name: string, prefix: readonly string[], summary: string): Command =>
  defineCommand({
    name,
    summary,
    arguments: { words: any('words', 'as docker takes them', 'file') },
    passesThrough: true,
    targets: 'many',
    failureCode: dockerFailure,
    async run(invocation) {
      const { fleet, io, args, targets } = invocation
      const { chooseMachine, chooseMachines } = await import('../../operations/choose-machines.ts')
      const words = [...prefix, ...args.words]
      if (targets.on.length > 0) {
        return runEverywhere(invocation, await chooseMachines(fleet, targets), words)
      }
      const { runDocker } = await import('../../operations/run-docker.ts')
      return runDocker(fleet, await chooseMachine(fleet, targets.machine), words, io)
    },
  })
