import { UserError } from '../../errors.ts'
import { passThroughStreams } from '../../ui/io.ts'
import { type Command, type Invocation, any, defineCommand } from '../definition.ts'
import { chooseEngines } from './choose-engines.ts'
import { checkPlacement } from './misplaced-option.ts'

/** Fleet's own failures, as docker's are: the command's codes go up to 124. */
const dockerFailure = 125

/** Runs docker on every machine at once, each line of output behind the machine's name. */
async function runEverywhere(invocation: Invocation, words: readonly string[]): Promise<number> {
  const { fleet, io } = invocation
  const { runDockerLines } = await import('../../operations/run-docker.ts')
  const { runEach } = await import('../run-each.ts')
  const machines = await chooseEngines(invocation)
  return runEach(invocation, machines, 'docker', (machine, signal, take) =>
    runDockerLines(fleet, machine, words, { env: io.env, cwd: io.cwd, signal }, take),
  )
}

/** Help where there is no machine whose docker could give its own. */
const helpWithoutMachine = (name: string, prefix: readonly string[], summary: string): string =>
  `Usage: fleet [-m NAME | --on SELECTOR | --all] ${name} [words...]

${summary}. The words behind it are docker's: fleet -m NAME docker ${[...prefix, '--help'].join(' ')}
`

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
    dockerWords: prefix,
    targets: 'many',
    gathers: true,
    failureCode: dockerFailure,
    async run(invocation) {
      const { fleet, io, args, targets } = invocation
      const { chooseMachine, choosesMany } = await import('../../operations/choose-machines.ts')
      const words = [...prefix, ...args.words]
      checkPlacement(prefix, args.words)
      if (choosesMany(targets)) {
        fleet.hosted?.leave()
        const { checkForMany } = await import('./one-machine-only.ts')
        checkForMany(words)
        return runEverywhere(invocation, words)
      }
      const { runDocker } = await import('../../operations/run-docker.ts')
      const machine = await chooseMachine(fleet, targets.machine).catch((error: unknown) => {
        if (args.words[0] === '--help' && error instanceof UserError) return undefined
        throw error
      })
      if (machine !== undefined) return runDocker(fleet, machine, words, passThroughStreams(io))
      io.stdout.write(helpWithoutMachine(name, prefix, summary))
      return undefined
    },
  })
