import type { Fleet } from '../../app/fleet.ts'
import { UserError, exitCodes } from '../../errors.ts'
import { writeFailures } from '../../ui/failure.ts'
import type { LogOptions } from '../../engine/logs.ts'
import type { InBroker } from '../../operations/context.ts'
import type { LogEntry } from '../../operations/fan-out/read-logs.ts'
import {
  type Invocation,
  type Targets,
  defineCommand,
  flag,
  parsed,
  several,
  text,
} from '../command.ts'
import { chooseEngines } from '../multi/choose-engines.ts'
import { parseCount } from '../options/numbers.ts'
import { writeLogs } from './write-logs.ts'

/** The maximum length of a log that the broker prints, in characters. */
const longestHosted = 1 << 19

/** Reads a log completely if it is short. A longer log is left to the client process. */
async function takeShort(
  lines: AsyncIterable<LogEntry>,
  hosted: InBroker,
): Promise<readonly LogEntry[]> {
  const taken: LogEntry[] = []
  let size = 0
  for await (const entry of lines) {
    size += 'line' in entry ? entry.line.length + entry.time.length : 0
    if (size > longestHosted) hosted.fallBack()
    taken.push(entry)
  }
  return taken
}

/** Adds a hint to an error if one of the container names is the name of a machine. */
async function withMachineHint(
  fleet: Fleet,
  names: readonly string[],
  error: UserError,
): Promise<UserError> {
  const machines: ReadonlyMap<string, unknown> = (await (await fleet.inventory()).read()).machines
  const name = names.find((word) => machines.has(word))
  if (name === undefined || error.kind === 'unreachable') return error
  const hint = `${name} is a machine; to show container logs: fleet -m ${name} logs CONTAINER`
  return new UserError(error.kind, error.message, { machine: error.machine, hint, cause: error })
}

const parseTail = (text: string): number | undefined =>
  text === 'all' ? undefined : parseCount(text)

/** The options of commands that show logs. */
export const logOptions = {
  follow: flag('-f, --follow', 'follow new output'),
  tail: parsed(
    '-n, --tail <lines>',
    'number of lines to show from the end of each log (default: all)',
    parseTail,
  ),
  since: text(
    '--since <time>',
    'show lines since a given time: 10m (10 minutes ago), 2026-11-23T10:00:00Z or a Unix timestamp',
  ),
  until: text('--until <time>', 'show lines up to a given time'),
  timestamps: flag('-t, --timestamps', 'show the timestamp of each line'),
} as const

/** Resolves to the part of the logs that the options select. */
export async function logRange({
  follow,
  tail,
  since,
  until,
}: {
  readonly follow: boolean
  readonly tail: number | undefined
  readonly since: string | undefined
  readonly until: string | undefined
}): Promise<LogOptions> {
  const { unixTime } = await import('../../engine/time.ts')
  return {
    follow,
    ...(tail !== undefined && { tail }),
    ...(since !== undefined && { since: unixTime(since) }),
    ...(until !== undefined && { until: unixTime(until) }),
  }
}

/** Resolves to the swarm if the names refer to services; undefined if they refer to containers on machines. */
async function swarmIn(
  { fleet, targets }: Pick<Invocation, 'fleet' | 'targets'>,
  names: readonly string[],
): Promise<string | undefined> {
  const { swarms } = await (await fleet.inventory()).read()
  if (swarms.size === 0) return undefined
  const { isReference } = await import('./references.ts')
  if (names.some(isReference)) return undefined
  const { swarmOfTargets } = await import('../../operations/services/open-swarm.ts')
  return swarmOfTargets(fleet, targets)
}

/**
 * Resolves to the containers whose logs are shown. With `--find`, searches for them; if the search fails, resolves to
 * the exit code.
 */
async function containersFor({
  args,
  options,
  ...invocation
}: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'> & {
  readonly args: { readonly containers: readonly string[] }
  readonly options: { readonly find: boolean }
}): Promise<{ readonly names: readonly string[]; readonly targets: Targets } | number> {
  if (!options.find) return { names: args.containers, targets: invocation.targets }
  const { findContainers, noTargets } = await import('./find-option.ts')
  const found = await findContainers(invocation, args.containers, { verb: 'logs', running: false })
  return typeof found === 'number' ? found : { names: found, targets: noTargets }
}

export const logs = defineCommand({
  name: 'logs',
  summary: 'Show container logs',
  description:
    'Show container logs. With several containers or machines, each line is prefixed with its source, and lines are sorted by time; with --follow, they appear as they are written.',
  arguments: { containers: several('containers', 'container names or IDs', 'container') },
  options: {
    ...logOptions,
    find: flag('--find', 'search all machines, or the selected ones, for the containers'),
  },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  runsInBroker: ({ options }) => !options.follow, // following would keep the broker busy
  examples: [
    'fleet logs -f web',
    'fleet logs --on role=web --since 10m web',
    'fleet logs --find web',
  ],
  async run(invocation) {
    const { fleet, io, args, options, format } = invocation
    const chosen = await containersFor(invocation)
    if (typeof chosen === 'number') return chosen
    const { names, targets } = chosen
    const swarm = await swarmIn({ fleet, targets }, names)
    if (swarm !== undefined) {
      fleet.hosted?.fallBack() // may need connections to managers and machines
      const { showServiceLogs } = await import('../service/logs.ts')
      const call = { fleet, io, format, options, targets: { ...targets, machine: swarm } }
      return showServiceLogs(call, names)
    }
    const { findLogSources } = await import('../../operations/fan-out/find-log-sources.ts')
    const { readLogs } = await import('../../operations/fan-out/read-logs.ts')
    const range = await logRange(options)
    const { placeNames } = await import('./references.ts')
    const placed = await placeNames({ fleet, targets }, names)
    const machines = await chooseEngines({ fleet, io, targets: placed.targets, format })
    const many = placed.targets.on.length > 0
    const { found, failures: missing } = await findLogSources(fleet, machines, placed)
    const failures = [...missing]
    const report = (some: typeof failures) =>
      writeFailures(io, some, { of: machines.length, json: format.json })
    if (!many && failures[0] !== undefined) {
      throw await withMachineHint(fleet, args.containers, failures[0].error)
    }
    if (options.follow) report(failures) // with --follow, the log may never end
    const nameOf = (source: { machine: string; container: string }): string =>
      many ? `${source.machine} ${source.container}` : source.container
    const lines = readLogs(found, { ...range, signal: fleet.signal })
    // A long log would block the other commands in the broker.
    const taken = fleet.hosted ? await takeShort(lines, fleet.hosted) : lines
    await writeLogs(io, taken, found, {
      ...{ json: format.json, timestamps: options.timestamps },
      nameOf: found.length > 1 || many ? nameOf : undefined,
      onError({ machine, error }) {
        if (!many) throw error
        const failure = { machine: { name: machine }, error }
        failures.push(failure)
        if (options.follow) report([failure])
      },
    })
    if (!options.follow) report(failures)
    return failures.length === 0 ? exitCodes.ok : exitCodes.failed
  },
})
