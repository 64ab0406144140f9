import type {
  Change,
  ChangePlan,
  Drift,
  Issue,
  PlannedDeployment,
  PlannedSwarmChange,
} from '../../operations/plan/change-plan.ts'
import { exitCodes } from '../../errors.ts'
import { type Colors, colorsOf } from '../../ui/color.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { counted } from '../../ui/human-units.ts'
import type { Io } from '../../ui/io.ts'
import { type Styled, compose, joinText } from '../../ui/styled.ts'
import type { NewHost, PlanContext } from './describe-hosts.ts'

/** The exit code of `fleet plan` if there are changes, as with `terraform plan -detailed-exitcode`. */
const hasChanges = 2

type Stream = 'stdout' | 'stderr'

interface Sign {
  readonly sign: string
  readonly color: keyof Colors
  /** The category under which changes are counted at the end of the plan. */
  readonly counted: 'create' | 'adopt' | 'change' | 'replace' | 'remove'
}

const change: Sign = { sign: '~', color: 'yellow', counted: 'change' }

const signs: Readonly<Record<Change['action'], Sign>> = {
  create: { sign: '+', color: 'green', counted: 'create' },
  adopt: { sign: '+', color: 'green', counted: 'adopt' },
  change,
  start: change,
  stop: change,
  operators: change,
  engine: change,
  'engine-config': change,
  replace: { sign: '-/+', color: 'red', counted: 'replace' },
  remove: { sign: '-', color: 'red', counted: 'remove' },
}

/** The maximum number of changes that are shown on separate lines although they differ only in their machine. */
const listedAlike = 10

/** Changes that differ only in their machine. */
interface Alike {
  readonly change: Change
  readonly host: NewHost | undefined
  readonly machines: string[]
}

/**
 * Groups changes that differ only in their machine. The groups are in the order of their first changes. Small groups
 * are split up again.
 */
function groupAlike(changes: readonly Change[], hosts: PlanContext['hosts']): Alike[] {
  const groups = new Map<string, Alike>()
  for (const change of changes) {
    const { machine, ...rest } = change
    const host = hosts.get(machine)
    const key = JSON.stringify([rest, host])
    const group = groups.get(key) ?? { change, host, machines: [] }
    groups.set(key, group)
    group.machines.push(machine)
  }
  return [...groups.values()].flatMap((group) =>
    group.machines.length > listedAlike
      ? [group]
      : group.machines.map((machine) => ({ ...group, machines: [machine] })),
  )
}

/** Formats a line of details that is shown below a change. */
const detail = (text: string): Styled => compose`      ${text}\n`

/**
 * Formats changes as lines. Below each change are lines that describe the host that it creates and what it allows the
 * host to use.
 */
function changeLines(
  colors: Colors | undefined,
  changes: readonly Change[],
  { hosts, total }: PlanContext,
): Styled[] {
  return groupAlike(changes, hosts).flatMap(({ change, host, machines }) => {
    const { action, why, stops, grants = [] } = change
    const { sign, color } = signs[action]
    const isAll = machines.length > 1 && machines.length === total
    const who =
      machines.length === 1
        ? (machines[0] ?? '')
        : `${isAll ? 'all ' : ''}${machines.length} machines`
    const downtime = stops ? '; the host will be stopped temporarily' : ''
    return [
      compose`  ${colors?.[color](sign) ?? sign} ${who}: ${action} (${why}${downtime})\n`,
      ...(machines.length === 1 || isAll ? [] : [detail(foldNames(machines))]),
      ...(host === undefined ? [] : [detail(host.what)]),
      ...(host?.access === undefined ? [] : [detail(host.access)]),
      ...grants
        .filter((what) => !host?.describedGrants.includes(what))
        .map((what) => detail(`uses ${what}`)),
    ]
  })
}

/** Describes changes, one per line, without colors. */
export const describeChanges = (changes: readonly Change[]): Styled =>
  joinText(changeLines(undefined, changes, { hosts: new Map(), total: 0 }), '')

/** What must happen to a machine before a deployment to it can be compared or made, keyed by action. */
const afterTexts: Readonly<Record<NonNullable<PlannedDeployment['after']>, string>> = {
  create: 'created',
  adopt: 'adopted',
  replace: 'replaced',
  start: 'started',
}

const describeAfter = (after: PlannedDeployment['after'], machines: number): string =>
  after === undefined
    ? ''
    : `, after the ${machines === 1 ? 'machine is' : 'machines are'} ${afterTexts[after]}`

/** Formats deployments as lines. Machines with the same changes share a line. */
export function deploymentLines(
  { green, yellow }: Colors,
  deployments: readonly PlannedDeployment[],
): Styled[] {
  const groups = new Map<string, { one: PlannedDeployment; machines: string[] }>()
  for (const one of deployments) {
    const { machine, digest: _digest, ...rest } = one
    const key = JSON.stringify(rest)
    const group = groups.get(key) ?? { one, machines: [] }
    groups.set(key, group)
    group.machines.push(machine)
  }
  return [...groups.values()].flatMap(({ one, machines }) => {
    const { stack, swarm, after, services, unfinished = false, pull = false, grants = [] } = one
    const where = swarm === undefined ? foldNames(machines) : `swarm ${swarm}`
    const isNew = services.length > 0 && services.every(({ action }) => action === 'create')
    const when = describeAfter(after, machines.length)
    return [
      compose`  ${isNew ? green('+') : yellow('~')} ${stack} on ${where}${when}\n`,
      ...(unfinished ? [detail('copy files again (a deployment was interrupted)')] : []),
      ...(pull ? [detail('pull newer images')] : []),
      ...services.map(({ service, action, why }) => detail(`${action} ${service} (${why})`)),
      ...grants.map((what) => detail(`uses ${what}`)),
    ]
  })
}

const swarmSigns: Readonly<Record<PlannedSwarmChange['action'], Sign>> = {
  init: { sign: '+', color: 'green', counted: 'create' },
  record: change,
  join: { sign: '+', color: 'green', counted: 'create' },
  promote: change,
  demote: change,
  label: change,
  leave: { sign: '-', color: 'red', counted: 'remove' },
  'remove-node': { sign: '-', color: 'red', counted: 'remove' },
  'open-ports': change,
  'close-ports': change,
  autolock: change,
}

/** The description of each action on a swarm. */
const swarmTexts: Readonly<Record<PlannedSwarmChange['action'], string>> = {
  init: 'initialize',
  record: 'record the ID of',
  join: 'join',
  promote: 'promote to manager in',
  demote: 'demote to worker in',
  label: 'change labels in',
  leave: 'leave',
  'remove-node': 'remove its old node from',
  'open-ports': 'open ports for',
  'close-ports': 'close ports for',
  autolock: 'change autolock for',
}

/** Formats swarm changes as lines, in the order in which they are made. */
const swarmLines = (colors: Colors, changes: readonly PlannedSwarmChange[]): Styled[] =>
  changes.map(({ swarm, machine, action, role, why, after }) => {
    const { sign, color } = swarmSigns[action]
    const as = role === undefined ? '' : ` as ${role}`
    const when = describeAfter(after, 1)
    return compose`  ${colors[color](sign)} ${machine}: ${swarmTexts[action]} ${swarm}${as} (${why})${when}\n`
  })

/** Describes how many swarm changes there are, and in how many swarms. */
const countSwarmChanges = (changes: readonly PlannedSwarmChange[]): string =>
  `${counted(changes.length, 'change')} to ${counted(new Set(changes.map(({ swarm }) => swarm)).size, 'swarm')}`

/** Describes how many stacks are deployed, and on how many machines and swarms. */
export const countDeployments = (deployments: readonly PlannedDeployment[]): string => {
  const stacks = new Set(deployments.map(({ stack }) => stack)).size
  const onMachines = deployments.filter(({ swarm }) => swarm === undefined)
  const machines = new Set(onMachines.map(({ machine }) => machine)).size
  const swarms = new Set(deployments.flatMap(({ swarm = [] }) => swarm)).size
  const places = [
    ...(machines > 0 ? [counted(machines, 'machine')] : []),
    ...(swarms > 0 ? [counted(swarms, 'swarm')] : []),
  ]
  return `${counted(stacks, 'stack')} to deploy on ${places.join(' and ')}`
}

/** Describes how many machines a plan creates, changes and removes. */
function countOf(changes: readonly Change[]): string {
  const names: Record<Sign['counted'], Set<string>> = {
    create: new Set(),
    adopt: new Set(),
    change: new Set(),
    replace: new Set(),
    remove: new Set(),
  }
  for (const { machine, action } of changes) names[signs[action].counted].add(machine)
  const counts = (Object.keys(names) as Sign['counted'][])
    .filter((kind) => names[kind].size > 0 || (kind !== 'adopt' && kind !== 'replace'))
    .map((kind) => `${names[kind].size} to ${kind}`)
  return counts.join(', ')
}

const isDestructive = ({ destructive }: Change): boolean => destructive === true

/** Returns a function that describes a plan, using colors if the stream supports them. */
export const planDescriber =
  (io: Io, stream: Stream, surroundings: PlanContext) =>
  (plan: ChangePlan): Styled =>
    describePlan(colorsOf(io, stream), plan, surroundings)

/** Formats issues as lines below a title. */
export const issueLines = (
  { bold, yellow }: Pick<Colors, 'bold' | 'yellow'>,
  issues: readonly Issue[],
): Styled[] =>
  issues.length === 0
    ? []
    : [
        compose`${bold('Needs your attention:')}\n`,
        ...issues.map(
          ({ machine, why, hint }) =>
            compose`  ${yellow('?')} ${machine === undefined ? '' : `${machine}: `}${why}${hint === undefined ? '' : ` (${hint})`}\n`,
        ),
      ]

/** Describes a plan. */
function describePlan(
  colors: Colors,
  { changes, deployments = [], swarms = [], drift, issues, skipped = [] }: ChangePlan,
  surroundings: PlanContext,
): Styled {
  const { bold, yellow } = colors
  const part = (title: string, lines: readonly Styled[]): Styled[] =>
    lines.length === 0 ? [] : [compose`${bold(title)}\n`, ...lines]
  const changePart = (title: string, some: readonly Change[]): Styled[] =>
    part(title, changeLines(colors, some, surroundings))
  const driftLine = ({
    machine,
    field,
    expected = 'unknown',
    actual = 'not running',
  }: Drift): Styled =>
    compose`  ${yellow('!')} ${machine}: ${field} changed from ${expected} to ${actual}\n`
  const destructive = changes.filter(isDestructive)
  const all = [
    ...changePart(
      'fleet apply will make these changes:',
      changes.filter((one) => !isDestructive(one)),
    ),
    ...changePart(
      'fleet apply will delete these hosts and all data on them, after confirmation:',
      destructive.filter(({ action }) => action === 'replace' || action === 'remove'),
    ),
    ...changePart(
      'fleet apply will make all images and containers on these hosts unavailable, after confirmation:',
      destructive.filter(({ action }) => action === 'engine-config'),
    ),
    ...changePart(
      'fleet apply will stop these hosts, which fleet did not create, after confirmation:',
      destructive.filter(({ action }) => action === 'stop'),
    ),
    ...part('fleet apply will change these swarms, in this order:', swarmLines(colors, swarms)),
    ...part('fleet apply will deploy these stacks:', deploymentLines(colors, deployments)),
    ...part(
      'Changed outside of fleet (run fleet refresh to update machines.yaml):',
      drift.map(driftLine),
    ),
    ...issueLines(colors, issues),
  ]
  const counts = [
    ...(changes.length === 0 ? [] : [countOf(changes)]),
    ...(swarms.length === 0 ? [] : [countSwarmChanges(swarms)]),
    ...(deployments.length === 0 ? [] : [countDeployments(deployments)]),
  ]
  const count = counts.length === 0 ? [] : [compose`${bold('Plan:')} ${counts.join(', ')}.\n`]
  const others = foldNames(skipped)
  const rest =
    skipped.length === 0
      ? ''
      : skipped.length === 1
        ? `1 machine is not in this plan: ${others}\n`
        : `${skipped.length} machines are not in this plan: ${others}\n`
  return joinText([...(all.length === 0 ? ['nothing to do\n'] : all), ...count, rest], '')
}

/**
 * Returns the exit code for a plan: 2 if there are changes; 1 if there are no changes but something could not be
 * checked or needs the user's attention; 0 if there is nothing to do.
 */
export function planCode({
  changes,
  deployments = [],
  swarms = [],
  issues,
}: Pick<ChangePlan, 'changes' | 'deployments' | 'swarms' | 'issues'>): number {
  if (changes.length + deployments.length + swarms.length > 0) return hasChanges
  return issues.length > 0 ? exitCodes.failed : exitCodes.ok
}
