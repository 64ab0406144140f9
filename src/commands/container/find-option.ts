import type { ContainerSummary } from '../../engine/containers.ts'
import { UserError, exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { writeFailure, writeFailures } from '../../ui/failure.ts'
import { oneLine } from '../../ui/visible.ts'
import type { Invocation, Targets } from '../command.ts'
import { chooseEngines } from '../multi/choose-engines.ts'

/** The default time limit for searching one machine, in milliseconds. */
export const searchTimeoutMs = 10_000

/** How many machines are searched at the same time. */
const concurrency = 128

/** The maximum number of matches that a message lists. */
const listed = 20

type Searching = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>

/** The targets of a command line whose options select no machine. */
export const noTargets: Targets = {
  ...{ names: [], machine: undefined, on: [], retryFailed: false },
  ...{ parallel: undefined, timeoutMs: undefined, maxFail: undefined },
}

/**
 * Resolves to the machines to search: those that options select, or else all machines that exist and have an engine.
 * Throws if there are none.
 */
export async function searchedMachines(invocation: Searching): Promise<Machine[]> {
  const { machine, on, retryFailed } = invocation.targets
  if (machine !== undefined || on.length > 0 || retryFailed) return chooseEngines(invocation)
  const targets = { ...invocation.targets, on: ['all'] }
  const machines = await chooseEngines({ ...invocation, targets })
  const created = machines.filter(({ host }) => host !== undefined)
  if (created.length > 0) return created
  throw new UserError('unknown-machine', 'none of the machines with an engine has a host yet', {
    hint: 'to set up the machines: fleet apply',
  })
}

/** Resolves to the error for a name that matches no container. */
export async function noContainer(
  name: string,
  containers: readonly ContainerSummary[],
  machines: number,
): Promise<UserError> {
  const { nearestContainer } = await import('../../operations/fan-out/match-containers.ts')
  const near = nearestContainer(containers, name)
  const where = machines === 1 ? 'the machine' : `the ${machines} machines`
  return new UserError(
    'failed',
    `no container or Compose service named ${JSON.stringify(name)} was found on ${where} that responded`,
    {
      hint:
        near === undefined
          ? 'to list all containers: fleet ps --all --all-containers'
          : `did you mean ${JSON.stringify(oneLine(near))}?`,
    },
  )
}

/** A container that was found: its reference, MACHINE/NAME, and its state. */
interface Match {
  readonly reference: string
  readonly state: string
}

function severalMatches(verb: string, name: string, matches: readonly Match[]): UserError {
  const lines = matches.slice(0, listed).map(({ reference, state }) => `${reference} (${state})`)
  const more = matches.length - listed
  if (more > 0) lines.push(`and ${more} more; to list all matches: fleet where ${name}`)
  const [first] = matches
  return new UserError(
    'usage',
    `${matches.length} containers match ${JSON.stringify(name)}; choose one`,
    { hint: [...lines, `for example: fleet ${verb} ${first?.reference}`].join('\n') },
  )
}

/**
 * Searches machines for containers by name, Compose service or the beginning of an ID, and resolves to one MACHINE/NAME
 * for each name. If a name matches no container, or more than one, writes the reason to stderr and resolves to the exit
 * code instead. With `running`, stopped containers are considered only if no running container matches. Machines that
 * do not answer are reported, but they do not prevent a match on other machines.
 */
export async function findContainers(
  { fleet, io, targets, format }: Searching,
  names: readonly string[],
  { verb, running }: { readonly verb: string; readonly running: boolean },
): Promise<readonly string[] | number> {
  const { isReference } = await import('./references.ts')
  const placed = names.find(isReference)
  if (placed !== undefined)
    throw new UserError(
      'usage',
      `${placed} already includes a machine name, so --find cannot be used`,
    )
  const shared = await matchesInBroker({ fleet, io, targets }, names)
  const search = shared ?? (await searchHere({ fleet, io, targets, format }, names))
  const { machines, failures, answers } = search
  writeFailures(io, failures, { of: machines, json: format.json })
  if (machines > 0 && failures.length === machines) return exitCodes.failed
  const found: string[] = []
  for (const name of names) {
    const all = search.matches.get(name) ?? []
    const inUse = running ? all.filter(({ state }) => state === 'running') : []
    const matches = inUse.length > 0 ? inUse : all
    const [first] = matches
    if (first === undefined || matches.length > 1) {
      const error =
        first === undefined
          ? await noContainer(name, answers, machines - failures.length)
          : severalMatches(verb, name, matches)
      if (failures.length === 0) fleet.hosted?.commit() // a new search would have the same result
      writeFailure(io, error, format.json)
      return exitCodes[error.kind as 'usage' | 'failed']
    }
    found.push(first.reference)
    const isSure = failures.length === 0
    if (!format.json && (!isSure || io.stderr.isTTY)) {
      const rest = isSure ? '' : ', the only match on the machines that responded'
      io.stderr.write(`found ${first.reference}${rest}\n`)
    }
  }
  return found
}

/** The result of a search. */
interface Search {
  /** The matches, keyed by the name that was searched for. */
  readonly matches: ReadonlyMap<string, readonly Match[]>
  /** How many machines were searched. */
  readonly machines: number
  readonly failures: readonly { readonly machine: Machine; readonly error: UserError }[]
  /** All containers on the machines that answered. */
  readonly answers: readonly ContainerSummary[]
}

/** Searches in the broker. Resolves to undefined unless every name was found and every machine answered. */
async function matchesInBroker(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'targets'>,
  names: readonly string[],
): Promise<Search | undefined> {
  const { searchInBroker } = await import('./search-in-broker.ts')
  const matches = new Map<string, Match[]>()
  for (const name of names) {
    const found = await searchInBroker(invocation, name)
    if (found === undefined) return undefined
    const matching = found.map((row) => ({
      reference: `${row.machine}/${row.name}`,
      state: oneLine(row.state, 20),
    }))
    matches.set(name, matching)
  }
  return { matches, machines: 0, failures: [], answers: [] }
}

/** Searches from this process. */
async function searchHere(invocation: Searching, names: readonly string[]): Promise<Search> {
  const { fleet } = invocation
  const machines = await searchedMachines(invocation)
  // The broker must run either the whole search or nothing, so check that all machines are connected first.
  if (fleet.hosted) await Promise.all(machines.map((machine) => fleet.connect(machine)))
  const { containerWord, matchContainers } =
    await import('../../operations/fan-out/match-containers.ts')
  const { answers, failures } = await listEverywhere(invocation, machines)
  const matchesOf = (name: string): Match[] =>
    answers.flatMap(({ machine, containers }) =>
      matchContainers(containers, name).map((container) => ({
        reference: `${machine.name}/${containerWord(container)}`,
        state: oneLine(container.State, 20),
      })),
    )
  return {
    matches: new Map(names.map((name) => [name, matchesOf(name)])),
    machines: machines.length,
    failures,
    answers: answers.flatMap(({ containers }) => containers),
  }
}

/** Lists the containers of the given machines, including stopped ones. */
async function listEverywhere(
  { fleet, io, targets, format }: Searching,
  machines: readonly Machine[],
) {
  const { listContainers } = await import('../../engine/containers.ts')
  const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
  const { reportUnanswered } = await import('../../ui/progress/waiting.ts')
  const machineNames = machines.map(({ name }) => name)
  using waiting = reportUnanswered(io, format, machineNames, fleet.clock)
  const outcomes = await fanOutInOrder(
    machines,
    async (machine, signal) => {
      try {
        return await listContainers(await fleet.engine(machine), { all: true, signal })
      } finally {
        waiting.done(machine.name)
      }
    },
    {
      signal: fleet.signal,
      concurrency: targets.parallel ?? concurrency,
      timeLimit: { ms: targets.timeoutMs ?? searchTimeoutMs, clock: fleet.clock },
    },
  )
  return {
    answers: outcomes.flatMap((outcome) =>
      'value' in outcome ? [{ machine: outcome.machine, containers: outcome.value }] : [],
    ),
    failures: outcomes.filter((outcome) => 'error' in outcome),
  }
}
