import type { ContainerStats } from '../../../engine/stats.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { Stack, Stacks } from '../../../machine/stacks.ts'
import type { Change } from '../../../operations/top/change-targets.ts'
import type { ServiceRow } from '../../../operations/services/list-services.ts'
import type { LogTarget, Target } from '../../../operations/top/open-sources.ts'
import type {
  Details,
  DiskParts,
  HostFigures,
  ServiceTasks,
  TopContainer,
  TopEvent,
  TopImage,
} from '../../../operations/top/updates.ts'
import type { Look } from '../../../ui/screen/palette.ts'

export const viewNames = [
  'machines',
  'containers',
  'images',
  'stacks',
  'services',
  'events',
] as const
export type ViewName = (typeof viewNames)[number]

/** The property that rows are grouped by. */
export type Grouping = 'none' | 'machine' | 'stack' | 'swarm'

/** The maximum number of values in a sparkline, of events, and of log lines. */
export const [historyLength, mostEvents, mostLogLines] = [120, 1000, 10_000]

/** How long a connected host may be silent before it is shown as not answering, in milliseconds. */
const staleMs = 4000

/** The data of a machine. */
export interface MachineModel {
  readonly machine: Machine
  readonly phase: 'connecting' | 'connected' | 'lost'
  /** When data last arrived from the machine, in milliseconds since 1970. */
  readonly lastSeenAt?: number
  /** Why the machine does not answer, and whether the host itself is lost or only its engine. */
  readonly reason?: string
  readonly isHostLost?: boolean
  readonly engine?: string
  readonly processors?: number
  readonly figures?: HostFigures
  /** The used share of all processors, and of the memory. The newest values are last. */
  readonly cpu: readonly number[]
  readonly memory: readonly number[]
  readonly containers?: readonly TopContainer[]
  readonly images?: readonly TopImage[]
  readonly disk?: DiskParts
}

/** A swarm in the inventory, and its data. */
export interface SwarmModel {
  readonly name: string
  /** Whether any of its machines is protected. */
  readonly isProtected: boolean
  /** Why no manager answers; absent if one does. */
  readonly reason?: string
  readonly services?: readonly ServiceRow[]
  /** The tasks of the service whose details are shown. */
  readonly tasks?: ServiceTasks | undefined
}

/** The usage of a container. In each history, the newest value is last. Network rates are in bytes per second. */
export interface Usage {
  readonly stats: ContainerStats
  readonly at: number
  readonly restarts: number | undefined
  readonly cpu: readonly number[]
  readonly memory: readonly number[]
  readonly received: readonly number[]
  readonly sent: readonly number[]
}

/** The sorting, grouping, filter and selection of a view. */
export interface ViewState {
  /** The index of the column that rows are sorted by. */
  readonly sort: number
  readonly isReversed: boolean
  readonly grouping: Grouping
  readonly filter: string
  /** The ID of the selected row, and its index in case the row disappears. */
  readonly cursor: { readonly id: string; readonly index: number }
  /** The index of the first line that is shown. */
  readonly top: number
  readonly marked: ReadonlySet<string>
}

/** A change that must be confirmed. If machines are protected, their names must be typed. */
export interface Confirmation {
  readonly change: Change
  readonly label: string
  readonly targets: readonly Target[]
  /** The names that must still be typed: those of protected machines, and of swarms that have protected machines. */
  readonly names: readonly string[]
}

/** A dialog. While it is open, it receives the keys instead of the page. */
export type Dialog =
  | { readonly kind: 'filter' | 'search'; readonly text: string; readonly before: string }
  | { readonly kind: 'command'; readonly text: string }
  | { readonly kind: 'menu'; readonly targets: readonly Target[] }
  /** Asks for the number of replicas of the services. */
  | { readonly kind: 'replicas'; readonly text: string; readonly targets: readonly Target[] }
  | ({ readonly kind: 'confirm'; readonly text: string } & Confirmation)

/** A line of a log. */
export interface LogLine {
  readonly source: string
  readonly time: string
  readonly text: string
  readonly isError: boolean
}

/** A page, which fills the window. */
export type Page =
  | { readonly kind: 'list' }
  | { readonly kind: 'help'; readonly top: number }
  | {
      readonly kind: 'details'
      /** The ID of the row. */
      readonly of: string
      readonly top: number
      readonly details?: Details
    }
  | {
      readonly kind: 'logs'
      /** The description of the sources, for the title. */
      readonly subject: string
      /** The names that are shown before the lines. The names of tasks become known only when their lines arrive. */
      readonly sources: readonly string[]
      readonly lines: readonly LogLine[]
      /** The number of discarded lines, which came before `lines`. */
      readonly dropped: number
      /**
       * The number of the line at the top, including discarded lines. If undefined, the page follows the end of the
       * logs.
       */
      readonly top: number | undefined
      /**
       * The number of the selected line, including discarded lines. Undefined while the page follows the end of the
       * logs.
       */
      readonly selected: number | undefined
      readonly isFolded: boolean
      /** The numbers of the lines that are unfolded, that is, shown in full on several lines of the window. */
      readonly unfolded: ReadonlySet<number>
      readonly search: string
    }

/** The state of the dashboard. It determines everything that the dashboard shows. */
export interface Model {
  /** The current time, in milliseconds since 1970. */
  readonly now: number
  readonly columns: number
  readonly rows: number
  readonly look: Look
  readonly isReadOnly: boolean
  /** The machines, keyed by name, in the order of the inventory. */
  readonly machines: ReadonlyMap<string, MachineModel>
  readonly stacks: Stacks
  readonly swarms: ReadonlyMap<string, SwarmModel>
  /** The usage of containers, keyed by machine and container ID, joined with a slash ({@link usageKey}). */
  readonly usage: ReadonlyMap<string, Usage>
  /** The events, the newest first. */
  readonly events: readonly TopEvent[]
  readonly view: ViewName
  readonly views: Readonly<Record<ViewName, ViewState>>
  readonly page: Page
  readonly dialog?: Dialog | undefined
  /** What the last key did, or why it did nothing. */
  readonly message?: { readonly text: string; readonly isBad: boolean } | undefined
}

/** A side effect that `pressKey` requests. */
export type Effect =
  | { readonly kind: 'quit' | 'suspend' | 'redraw' | 'retry' }
  | { readonly kind: 'details'; readonly target: Target; readonly of: string }
  | {
      readonly kind: 'logs'
      readonly targets: readonly LogTarget[]
    }
  | {
      readonly kind: 'change'
      readonly change: Change
      readonly label: string
      readonly targets: readonly Target[]
    }
  /** A fleet command line that the user has typed, to be run for the selected targets. */
  | { readonly kind: 'command'; readonly text: string; readonly targets: readonly Target[] }
  | {
      /** The fleet command lines to run on the terminal, in sequence. */
      readonly kind: 'run'
      readonly lines: readonly (readonly string[])[]
      /** Whether to wait for Enter afterwards, so that the user can read the output. */
      readonly pauses: boolean
    }

const viewState = (sort: number, grouping: Grouping = 'none'): ViewState => ({
  ...{ sort, grouping, isReversed: false, filter: '', top: 0, marked: new Set<string>() },
  cursor: { id: '', index: 0 },
})

/** Returns the initial model, before any machine has answered. */
export function initialModel({
  machines,
  stacks,
  swarms,
  ...rest
}: Pick<Model, 'now' | 'columns' | 'rows' | 'look' | 'isReadOnly'> & {
  readonly machines: readonly Machine[]
  readonly stacks: Stacks
  readonly swarms: readonly Pick<SwarmModel, 'name' | 'isProtected'>[]
}): Model {
  return {
    ...rest,
    machines: new Map(
      machines.map((machine) => [
        machine.name,
        { machine, phase: 'connecting', cpu: [], memory: [] },
      ]),
    ),
    stacks,
    swarms: new Map(swarms.map((swarm) => [swarm.name, swarm])),
    usage: new Map(),
    events: [],
    view: 'machines',
    views: {
      machines: viewState(-1),
      containers: viewState(-1),
      images: viewState(-1),
      stacks: viewState(-1),
      services: viewState(-1),
      events: viewState(-1),
    },
    page: { kind: 'list' },
  }
}

/** Whether a machine does not answer at the moment. */
export const isStale = ({ phase, lastSeenAt = 0 }: MachineModel, now: number): boolean =>
  phase === 'lost' || (phase === 'connected' && now - lastSeenAt > staleMs)

/** Returns the state of a machine, using the same names as `fleet status`. */
export function stateOfMachine(model: MachineModel, now: number): string {
  const { machine, phase } = model
  if (machine.host === undefined) return 'not-created'
  if (machine.host.phase !== 'ready') return machine.host.phase
  if (phase === 'connecting') return 'connecting'
  if (phase === 'lost' && model.isHostLost === false) return 'no-engine'
  return isStale(model, now) ? 'unreachable' : 'running'
}

/** Returns the key for a container's usage. */
export const usageKey = (machine: string, container: string): string => `${machine}/${container}`

/** A stack on a machine, judging by its containers. */
export interface StackModel {
  readonly name: string
  readonly machine: MachineModel
  readonly containers: readonly TopContainer[]
  /**
   * `running`: all containers are running and none is unhealthy. `degraded`: some are not running or are unhealthy.
   * `stopped`: none is running. `missing`: the inventory assigns the stack to this machine, but there are no
   * containers. `unmanaged`: the inventory does not assign the stack to this machine. `unfinished`: a deployment has
   * not finished. `mixed`: containers of the same service have different configurations, according to Compose's hashes.
   */
  readonly state:
    | 'running'
    | 'degraded'
    | 'stopped'
    | 'missing'
    | 'unmanaged'
    | 'unfinished'
    | 'mixed'
}

/** Whether any containers of the same service were created with different configurations. */
function isMixed(containers: readonly TopContainer[]): boolean {
  const hashes = new Map<string, string>()
  return containers.some(({ service, hash }) => {
    if (hash === '') return false
    const other = hashes.get(service) ?? hash
    hashes.set(service, hash)
    return other !== hash
  })
}

function stackState(
  containers: readonly TopContainer[],
  { isWanted, isUnfinished }: { readonly isWanted: boolean; readonly isUnfinished: boolean },
): StackModel['state'] {
  if (isUnfinished) return 'unfinished'
  if (containers.length === 0) return 'missing'
  if (!isWanted) return 'unmanaged'
  const running = containers.filter(({ state }) => state === 'running')
  if (running.length === 0) return 'stopped'
  const isFine =
    running.length === containers.length && running.every(({ health }) => health !== 'unhealthy')
  if (!isFine) return 'degraded'
  return isMixed(containers) ? 'mixed' : 'running'
}

/**
 * Returns the stacks of a machine: those that the inventory assigns to it (`wanted`), and those that only the labels of
 * its containers name.
 */
export function stacksOf(model: MachineModel, wanted: readonly Stack[]): readonly StackModel[] {
  if (model.containers === undefined) return []
  const byStack = new Map<string, TopContainer[]>(wanted.map(({ name }) => [name, []]))
  for (const container of model.containers) {
    if (container.stack === '') continue
    const known = byStack.get(container.stack)
    if (known === undefined) byStack.set(container.stack, [container])
    else known.push(container)
  }
  return [...byStack].map(([name, found]) => {
    const containers = found.filter((container) => !container.isUnfinishedMark)
    const isUnfinished = containers.length < found.length
    const isWanted = wanted.some((stack) => stack.name === name)
    return {
      ...{ name, machine: model, containers },
      state: stackState(containers, { isWanted, isUnfinished }),
    }
  })
}
