import type { EngineEvent } from '../../engine/system.ts'
import { exitCodes } from '../../errors.ts'
import { writeFailures } from '../../ui/failure.ts'
import { openPrefixedLines } from '../../ui/prefixed-lines.ts'
import { oneLine } from '../../ui/visible.ts'
import { defineCommand, text } from '../command.ts'
import { chooseEngines } from '../multi/choose-engines.ts'
import { filterOption, parseFilters } from '../options/filters.ts'

/** An event as one line: time, type, action, subject. */
function eventText({ time, Type, Action, Actor }: EngineEvent): string {
  const name = Actor.Attributes['name']
  const about = name === undefined ? Actor.ID : `${name} (${Actor.ID.slice(0, 12)})`
  return oneLine(`${new Date(time * 1000).toISOString()} ${Type} ${Action} ${about}`)
}

export const events = defineCommand({
  name: 'events',
  summary: 'Show engine events as they happen',
  options: {
    since: text(
      '--since <time>',
      'show events since a given time: 10m (10 minutes ago), 2026-11-23T10:00:00Z or a Unix timestamp',
    ),
    until: text('--until <time>', 'show events up to a given time, then exit'),
    filter: filterOption,
  },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: ['fleet events --on role=web -f type=container'],
  async run({ fleet, io, options, targets, format }) {
    const { streamFromEngines } = await import('../../operations/fan-out/stream-from-engines.ts')
    const { streamEvents } = await import('../../engine/system.ts')
    const { unixTime } = await import('../../engine/time.ts')
    const query = {
      filters: parseFilters(options.filter),
      ...(options.since === undefined ? {} : { since: unixTime(options.since) }),
      ...(options.until === undefined ? {} : { until: unixTime(options.until) }),
    }
    const machines = await chooseEngines({ fleet, io, targets, format })
    const many = targets.on.length > 0
    const prefixed = openPrefixedLines(
      io,
      machines.map(({ name }) => name),
    )
    let hasFailed = false
    const open = (engine: Parameters<typeof streamEvents>[0], signal: AbortSignal) =>
      streamEvents(engine, { ...query, signal })
    for await (const item of streamFromEngines(fleet, machines, open)) {
      if ('error' in item) {
        if (!many) throw item.error
        hasFailed = true
        writeFailures(io, [item], { of: machines.length, json: format.json }) // other machines may stream forever
        continue
      }
      const { machine, value } = item
      if (format.json) {
        io.stdout.write(`${JSON.stringify({ machine: machine.name, ...value })}\n`)
      } else if (many) prefixed.write(machine.name, 'stdout', eventText(value))
      else io.stdout.write(`${eventText(value)}\n`)
    }
    return hasFailed ? exitCodes.failed : exitCodes.ok
  },
})
