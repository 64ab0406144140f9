import type { Engine } from '../../engine/engine.ts'
import type { PruneKind, Pruned } from '../../engine/prune.ts'
import { UserError } from '../../errors.ts'
import { humanSize } from '../../ui/human-units.ts'
import type { Column } from '../../ui/table.ts'
import { type Command, type Invocation, defineCommand, flag, texts } from '../command.ts'
import { changeEngines } from '../multi/change-engines.ts'
import { chooseEngines } from '../multi/choose-engines.ts'
import { confirmOnEngines } from '../multi/confirm-on-engines.ts'
import { yesOption } from '../options/confirmation.ts'
import { parseFilters } from '../options/filters.ts'

type Filters = ReturnType<typeof parseFilters>

/** The values of a prune command's options. */
interface Request {
  readonly kinds: readonly PruneKind[]
  readonly filters: Filters
  /** The kinds for which all unused objects are removed, including those that have a name. */
  readonly allOf: readonly PruneKind[]
  readonly yes: boolean
}

const options = {
  filter: texts('--filter <filter>', 'remove only items that match key=value (repeatable)'),
  yes: yesOption,
  force: flag('-f, --force', 'same as --yes, for compatibility with docker'),
} as const

/** Describes which objects of a kind are removed. */
function describe(kind: PruneKind, all: boolean): string {
  switch (kind) {
    case 'containers':
      return 'all stopped containers'
    case 'networks':
      return 'all networks that no container uses'
    case 'volumes':
      return `all ${all ? '' : 'anonymous '}volumes that no container uses`
    case 'images':
      return all ? 'all images that no container uses' : 'all dangling images'
    case 'build cache':
      return all ? 'the entire build cache' : 'unused build cache'
  }
}

const columns: readonly Column<Pruned>[] = [
  { title: 'KIND', text: ({ kind }) => kind, keep: true },
  { title: 'REMOVED', text: ({ removed }) => String(removed.length) },
  { title: 'RECLAIMED', text: ({ reclaimed }) => humanSize(reclaimed), keep: true },
]

/**
 * Prunes the chosen machines after asking for confirmation, one kind at a time, and reports how much space was
 * reclaimed.
 */
async function prune(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  { kinds, filters, allOf, yes }: Request,
): Promise<number> {
  const { io, format } = invocation
  const { prunes } = await import('../../engine/prune.ts')
  const { measuringMs } = await import('../../engine/disk-usage.ts')
  const { idleLabel, keepingIdle } = await import('../../operations/stacks/idle-container.ts')
  /**
   * Prunes one kind of object, but keeps the containers that preserve images of stacks or mark a stack as unfinished.
   */
  const pruneKind = async (
    kind: PruneKind,
    engine: Engine,
    signal: AbortSignal,
  ): Promise<Pruned> => {
    const request = { filters, all: allOf.includes(kind), signal }
    if (kind !== 'containers') return prunes[kind](engine, request)
    // Containers are kept only if they match all `label!` filters, so another such filter would weaken the user's
    // filters.
    if ('label!' in filters) return keepingIdle(engine, () => prunes.containers(engine, request))
    return prunes.containers(engine, {
      ...request,
      filters: { ...filters, 'label!': [idleLabel] },
    })
  }
  const machines = await chooseEngines(invocation)
  const filtered = Object.entries(filters).flatMap(([key, values]) =>
    values.map((value) => `${key}=${value}`),
  )
  const suffix = filtered.length === 0 ? '' : ` (only ${filtered.join(', ')})`
  await confirmOnEngines(invocation, machines, {
    items: kinds.map((kind) => `${describe(kind, allOf.includes(kind))}${suffix}`),
    volumes: kinds.includes('volumes'),
    yes,
  })
  const { rows, reportFailures } = await changeEngines<Pruned>(invocation, {
    machines,
    async change(done, engine, signal) {
      for (const kind of kinds) done.push(await pruneKind(kind, engine, signal))
    },
    columns,
    timeMs: measuringMs,
  })
  if (!format.json) {
    const bytes = rows.reduce((sum, { reclaimed }) => sum + reclaimed, 0)
    const where = machines.length > 1 ? ` on ${machines.length} machines` : ''
    io.stderr.write(`reclaimed ${humanSize(bytes)}${where}\n`)
  }
  return reportFailures()
}

export const pruneVolumes = defineCommand({
  name: 'prune',
  summary: 'Remove unused volumes',
  description:
    "Remove anonymous volumes that no container uses; with --all-volumes, also named volumes. fleet first lists the machines and asks for confirmation. On a protected machine, you must type the machine's name, even with --yes.",
  options: { all: flag('-a, --all-volumes', 'also remove named volumes'), ...options },
  targets: 'many',
  gathers: true,
  answers: 'json',
  examples: ['fleet volume prune -m web-1', 'fleet volume prune --on role=web --yes'],
  run: ({ options: { all, filter, yes, force }, ...invocation }) =>
    prune(invocation, {
      kinds: ['volumes'],
      filters: parseFilters(filter),
      allOf: all ? ['volumes'] : [],
      yes: yes || force,
    }),
})

export const pruneNetworks = defineCommand({
  name: 'prune',
  summary: 'Remove unused networks',
  description:
    'Remove networks that no container uses. fleet first lists the machines and asks for confirmation.',
  options,
  targets: 'many',
  gathers: true,
  answers: 'json',
  examples: ['fleet network prune --on role=web', 'fleet network prune --filter until=24h --yes'],
  run: ({ options: { filter, yes, force }, ...invocation }) =>
    prune(invocation, {
      kinds: ['networks'],
      filters: parseFilters(filter),
      allOf: [],
      yes: yes || force,
    }),
})

/**
 * Returns the kinds of objects that `fleet system prune` removes. Throws kind `usage` for filters that do not apply to
 * one of the kinds.
 */
function systemKinds(filters: Filters, withVolumes: boolean): PruneKind[] {
  if (withVolumes && 'until' in filters) {
    throw new UserError(
      'usage',
      'the until filter does not apply to volumes: omit the filter or --volumes',
      {
        hint: 'to remove volumes: fleet volume prune',
      },
    )
  }
  const isByLabel = Object.keys(filters).some((key) => key.startsWith('label'))
  return [
    'containers',
    ...(withVolumes ? (['volumes'] as const) : []),
    'networks',
    'images',
    ...(isByLabel ? [] : (['build cache'] as const)), // the build cache has no labels
  ]
}

export const pruneSystem: Command = defineCommand({
  name: 'prune',
  summary: 'Remove unused Docker data',
  description:
    'Remove stopped containers, unused networks, dangling images and unused build cache; with --volumes, also unused anonymous volumes. fleet first lists the machines and asks for confirmation. With --volumes, you must type the name of each protected machine, even with --yes. Label filters do not affect the build cache, because it has no labels.',
  options: {
    all: flag('-a, --all-images', 'remove all unused images, not only dangling ones'),
    volumes: flag('--volumes', 'also remove unused anonymous volumes'),
    ...options,
  },
  targets: 'many',
  gathers: true,
  answers: 'json',
  examples: ['fleet system prune --on role=web', 'fleet system prune --all -a --volumes --yes'],
  run: ({ options: { all, volumes, filter, yes, force }, ...invocation }) => {
    const filters = parseFilters(filter)
    return prune(invocation, {
      kinds: systemKinds(filters, volumes),
      filters,
      allOf: all ? ['images', 'build cache'] : [],
      yes: yes || force,
    })
  },
})
