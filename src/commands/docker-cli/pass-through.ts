import { UserError, dockerFailure } from '../../errors.ts'
import { passThroughStreams } from '../../ui/io.ts'
import type { Machine } from '../../machine/machine.ts'
import { type Command, type Invocation, any, defineCommand } from '../command.ts'
import { chooseEngines } from '../multi/choose-engines.ts'
import { findFlag } from '../options/common-options.ts'
import { checkPlacement } from './misplaced-option.ts'

/** Runs docker on several machines at the same time; each line of output is prefixed with the name of the machine. */
async function runEverywhere(
  invocation: Invocation,
  machines: readonly Machine[],
  wordsOn: (machine: Machine) => readonly string[],
): Promise<number> {
  const { fleet, io } = invocation
  const { checkForMany } = await import('./one-machine-only.ts')
  for (const machine of machines) checkForMany(wordsOn(machine))
  const { runDockerLines } = await import('../../operations/docker/run-docker.ts')
  const { runEach } = await import('../multi/run-each.ts')
  return runEach(invocation, machines, 'docker', (machine, signal, take) =>
    runDockerLines(fleet, machine, wordsOn(machine), { env: io.env, cwd: io.cwd, signal }, take),
  )
}

/**
 * Runs docker on the machines that the container names include, as in web-1/app. Resolves to undefined if they include
 * none.
 */
async function runWhereNamed(
  invocation: Invocation,
  words: readonly string[],
): Promise<number | undefined> {
  const { isReference, placeWords } = await import('../container/references.ts')
  if (!words.some(isReference)) return undefined
  const placed = await placeWords(invocation, words)
  if (placed === undefined) return undefined
  const [first, ...others] = placed.keys()
  if (first === undefined || others.length > 0) {
    return runEverywhere(invocation, [...placed.keys()], (machine) => placed.get(machine) ?? [])
  }
  const { runDocker } = await import('../../operations/docker/run-docker.ts')
  const streams = passThroughStreams(invocation.io)
  return runDocker(invocation.fleet, first, placed.get(first) ?? [], streams)
}

/**
 * Whether `--find` is used to run a command without a terminal, which the broker can do. Undefined if `--find` is not
 * used.
 */
const isSearchWithoutTerminal = (words: readonly string[]): boolean | undefined =>
  words[0] === findFlag ? !words.some((word) => /^-(?:[a-z]*t[a-z]*|-tty)$/.test(word)) : undefined

/** Runs a command in the container that `words` name, on the machine that has that container. */
async function runWhereFound(
  invocation: Invocation,
  name: string,
  words: readonly string[],
): Promise<number> {
  const { readContainerNames } = await import('../../docker/container-names.ts')
  const { findContainers, noTargets } = await import('../container/find-option.ts')
  const command = readContainerNames(words)
  const [container] = command?.names ?? []
  if (command === undefined || container === undefined) {
    throw new UserError('usage', 'no container specified', {
      hint: `for example: fleet ${name} ${findFlag} web sh`,
    })
  }
  const found = await findContainers(invocation, [container], { verb: name, running: true })
  if (typeof found === 'number') return found
  const placed = command.rename(() => found[0])
  return (await runWhereNamed({ ...invocation, targets: noTargets }, placed)) ?? dockerFailure
}

/** Runs docker exec in the container of a task if the command targets a swarm; otherwise resolves to undefined. */
async function runInService(
  { fleet, io, targets }: Invocation,
  words: readonly string[],
): Promise<number | undefined> {
  const { swarms } = await (await fleet.inventory()).read()
  if (swarms.size === 0) return undefined
  const { openSwarm, swarmOfTargets } = await import('../../operations/services/open-swarm.ts')
  const { readContainerNames } = await import('../../docker/container-names.ts')
  const { isReference } = await import('../container/references.ts')
  const command = readContainerNames(words)
  const [name] = command?.names ?? []
  if (command === undefined || name === undefined || isReference(name)) return undefined
  const swarm = await swarmOfTargets(fleet, targets)
  if (swarm === undefined) return undefined
  fleet.hosted?.fallBack() // may need connections to managers and machines
  const { findTaskContainer } = await import('../../operations/services/task-containers.ts')
  const { runDocker } = await import('../../operations/docker/run-docker.ts')
  const { machine, container } = await findTaskContainer(fleet, openSwarm(fleet, swarm), name)
  return runDocker(
    fleet,
    machine,
    command.rename(() => container),
    passThroughStreams(io),
  )
}

/**
 * Returns fleet's own help. It is used if no machine is given, because there is then no docker that could print its own
 * help.
 */
const helpWithoutMachine = (name: string, prefix: readonly string[], summary: string): string =>
  `Usage: fleet [-m NAME | --on SELECTOR | --all] ${name} [arguments...]

${summary}. This command accepts the same arguments and options as ${['docker', ...prefix].join(' ')}.
To list the options: fleet -m NAME docker ${[...prefix, '--help'].join(' ')}
`

const isForOneMachine = ({ targets: { on, retryFailed } }: Pick<Invocation, 'targets'>): boolean =>
  on.length === 0 && !retryFailed

/**
 * Defines a command that passes its arguments to docker unchanged, after `prefix`. On one machine, it behaves as if
 * docker ran there; on several machines, each line of output is prefixed with the name of the machine.
 */
export const passThrough = (name: string, prefix: readonly string[], summary: string): Command =>
  defineCommand({
    name,
    summary,
    arguments: { words: any('arguments', 'arguments for docker', 'file') },
    passesThrough: true,
    dockerWords: prefix,
    targets: 'many',
    gathers: true,
    failureCode: dockerFailure,
    ...(name === 'exec' && {
      runsInBroker: (typed: Pick<Invocation, 'args' | 'targets'>) =>
        isSearchWithoutTerminal(typed.args['words'] as string[]) ?? isForOneMachine(typed),
    }),
    async run(invocation) {
      const { fleet, io, args, targets } = invocation
      const { chooseMachine, chooseMachineOrManager, choosesMany } =
        await import('../../operations/inventory/choose-machines.ts')
      if (name === 'exec' && args.words[0] === findFlag) {
        checkPlacement(prefix, args.words.slice(1))
        return runWhereFound(invocation, name, [...prefix, ...args.words.slice(1)])
      }
      const words = [...prefix, ...args.words]
      checkPlacement(prefix, args.words)
      const isExec = prefix.at(-1) === 'exec'
      const code =
        (isExec ? await runInService(invocation, words) : undefined) ??
        (await runWhereNamed(invocation, words))
      if (code !== undefined) return code
      if (choosesMany(targets)) {
        return runEverywhere(invocation, await chooseEngines(invocation), () => words)
      }
      const { runDocker } = await import('../../operations/docker/run-docker.ts')
      const choose = prefix.length === 0 ? chooseMachineOrManager : chooseMachine
      const machine = await choose(fleet, targets.machine).catch((error: unknown) => {
        if (args.words[0] === '--help' && error instanceof UserError) return undefined
        throw error
      })
      if (machine !== undefined) return runDocker(fleet, machine, words, passThroughStreams(io))
      io.stdout.write(helpWithoutMachine(name, prefix, summary))
      return undefined
    },
  })
