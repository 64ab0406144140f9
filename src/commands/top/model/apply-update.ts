import type { LogEntry } from '../../../operations/fan-out/read-logs.ts'
import type { Update } from '../../../operations/top/updates.ts'
import {
  type LogLine,
  type MachineModel,
  type Model,
  type SwarmModel,
  type Usage,
  historyLength,
  mostEvents,
  mostLogLines,
  usageKey,
} from './model.ts'

const remember = (values: readonly number[], value: number): readonly number[] => [
  ...values.slice(1 - historyLength),
  value,
]

function changeMachine(
  model: Model,
  name: string,
  change: (machine: MachineModel) => MachineModel,
): Model {
  const machine = model.machines.get(name)
  if (machine === undefined) return model
  return { ...model, machines: new Map(model.machines).set(name, change(machine)) }
}

function changeSwarm(model: Model, name: string, change: (swarm: SwarmModel) => SwarmModel): Model {
  const swarm = model.swarms.get(name)
  if (swarm === undefined) return model
  return { ...model, swarms: new Map(model.swarms).set(name, change(swarm)) }
}

/** Returns the rate between two readings, in bytes per second; 0 after a restart, which resets the counters. */
const rate = (now: number, before: number, ms: number): number =>
  ms <= 0 ? 0 : Math.max(0, ((now - before) * 1000) / ms)

function nextUsage(
  { stats, restarts }: Update & { readonly kind: 'stats' },
  before: Usage | undefined,
  now: number,
): Usage {
  const { network } = before?.stats ?? stats
  const ms = now - (before?.at ?? now)
  return {
    stats,
    at: now,
    restarts: restarts ?? before?.restarts,
    cpu: remember(before?.cpu ?? [], stats.cpuPercent),
    memory: remember(before?.memory ?? [], stats.memory.percent),
    received: remember(before?.received ?? [], rate(stats.network.received, network.received, ms)),
    sent: remember(before?.sent ?? [], rate(stats.network.sent, network.sent, ms)),
  }
}

const logLine = (entry: LogEntry): LogLine => ({
  source: entry.container === '' ? entry.machine : `${entry.machine}/${entry.container}`,
  time: 'error' in entry ? '' : entry.time,
  text: 'error' in entry ? entry.error.message : entry.line,
  isError: 'error' in entry || entry.stream === 'stderr',
})

function addLogs(model: Model, entries: readonly LogEntry[]): Model {
  const { page } = model
  if (page.kind !== 'logs') return model
  const added = entries.slice(-mostLogLines).map(logLine)
  const lines = [...page.lines, ...added]
  const sources = [...new Set([...page.sources, ...added.map(({ source }) => source)])]
  const excess = Math.max(0, lines.length - mostLogLines)
  return {
    ...model,
    page: { ...page, sources, lines: lines.slice(excess), dropped: page.dropped + excess },
  }
}

/** Removes the usage of containers that no longer exist on a machine. */
function keepUsage(model: Model, machine: string, ids: ReadonlySet<string>): Model['usage'] {
  const gone = [...model.usage.keys()].filter((key) => {
    const [name, id = ''] = key.split('/')
    return name === machine && !ids.has(id)
  })
  if (gone.length === 0) return model.usage
  const usage = new Map(model.usage)
  for (const key of gone) usage.delete(key)
  return usage
}

/** Returns the model after applying an update. */
export function applyUpdate(model: Model, update: Update): Model {
  switch (update.kind) {
    case 'connected':
      return changeMachine(model, update.machine, ({ reason: _, ...machine }) => ({
        ...machine,
        phase: 'connected',
        lastSeenAt: update.at,
        engine: update.engine,
        processors: update.processors,
      }))
    case 'lost':
      return changeMachine(model, update.machine, (machine) => ({
        ...machine,
        phase: 'lost',
        reason: update.reason,
        isHostLost: update.isHost,
      }))
    case 'containers': {
      const ids = new Set(update.containers.map(({ id }) => id))
      return {
        ...changeMachine(model, update.machine, (machine) => ({
          ...machine,
          lastSeenAt: update.at,
          containers: update.containers,
        })),
        usage: keepUsage(model, update.machine, ids),
      }
    }
    case 'images':
      return changeMachine(model, update.machine, (machine) => ({
        ...machine,
        lastSeenAt: update.at,
        images: update.images,
      }))
    case 'figures':
      return changeMachine(model, update.machine, (machine) => {
        const { cpu, memory } = update.figures
        const used = memory.total === 0 ? 0 : memory.used / memory.total
        return {
          ...machine,
          lastSeenAt: update.at,
          figures: update.figures,
          cpu: cpu === undefined ? machine.cpu : remember(machine.cpu, cpu),
          memory: remember(machine.memory, used),
        }
      })
    case 'answered':
      return changeMachine(model, update.machine, (machine) => ({
        ...machine,
        lastSeenAt: update.at,
      }))
    case 'services':
      return changeSwarm(model, update.swarm, ({ reason: _, ...swarm }) => ({
        ...swarm,
        services: update.services,
        tasks: update.tasks,
      }))
    case 'swarm-lost':
      return changeSwarm(model, update.swarm, (swarm) => ({ ...swarm, reason: update.reason }))
    case 'disk':
      return changeMachine(model, update.machine, (machine) => ({ ...machine, disk: update.parts }))
    case 'stats': {
      const key = usageKey(update.machine, update.container)
      const usage = nextUsage(update, model.usage.get(key), model.now)
      return { ...model, usage: new Map(model.usage).set(key, usage) }
    }
    case 'event':
      return { ...model, events: [update.event, ...model.events.slice(0, mostEvents - 1)] }
    case 'logs':
      return addLogs(model, update.entries)
    case 'details': {
      const { page } = model
      if (page.kind !== 'details' || page.of !== update.of) return model
      return { ...model, page: { ...page, details: update.details } }
    }
  }
}
