import type { Change } from '../../../operations/top/change-targets.ts'
import type { Target } from '../../../operations/top/open-sources.ts'
import type { Confirmation, Dialog, Effect, Model } from './model.ts'

/** An action of the menu. */
export interface Action {
  readonly key: string
  readonly label: string
  readonly change: Change | 'pull'
  /** It ends something or removes it, so it needs confirmation. */
  readonly isDestructive: boolean
}

const start = { key: 's', label: 'Start', change: 'start', isDestructive: false } as const
const stop = { key: 'o', label: 'Stop', change: 'stop', isDestructive: true } as const

const actions: Readonly<Record<Target['kind'], readonly Action[]>> = {
  machine: [start, stop],
  container: [
    start,
    stop,
    { key: 'r', label: 'Restart', change: 'restart', isDestructive: true },
    { key: 'k', label: 'Kill', change: 'kill', isDestructive: true },
    { key: 'd', label: 'Remove', change: 'rm', isDestructive: true },
  ],
  image: [
    { key: 'p', label: 'Pull', change: 'pull', isDestructive: false },
    { key: 'd', label: 'Remove', change: 'rm', isDestructive: true },
  ],
}

/** The actions for things, which are all of one kind. */
export const actionsFor = (targets: readonly Target[]): readonly Action[] =>
  targets[0] === undefined ? [] : actions[targets[0].kind]

/** `container web-1/nginx`, or `3 containers on 2 machines`. */
export function describeTargets(targets: readonly Target[]): string {
  const [first] = targets
  if (first === undefined) return 'nothing'
  const machines = new Set(targets.map(({ machine }) => machine)).size
  if (targets.length === 1) {
    return first.kind === 'machine'
      ? `machine ${first.machine}`
      : `${first.kind} ${first.name} on ${first.machine}`
  }
  if (first.kind === 'machine') return `${targets.length} machines`
  const where = machines === 1 ? first.machine : `${machines} machines`
  return `${targets.length} ${first.kind}s on ${where}`
}

/** Protected machines among those of the targets. */
const protectedOf = ({ machines }: Model, targets: readonly Target[]): readonly string[] => [
  ...new Set(
    targets.flatMap(({ machine }) =>
      machines.get(machine)?.machine.protected === true ? [machine] : [],
    ),
  ),
]

/** What an action needs before it is done: a confirmation, or nothing. */
export function begin(
  model: Model,
  { change, label, isDestructive }: Action,
  targets: readonly Target[],
): { readonly dialog: Dialog } | { readonly effect: Effect } {
  if (change === 'pull') {
    const lines = targets.flatMap((target) =>
      target.kind === 'image' && !target.name.startsWith('sha256:')
        ? [['-m', target.machine, 'pull', target.name]]
        : [],
    )
    return { effect: { kind: 'run', lines, pauses: true } }
  }
  if (!isDestructive) return { effect: { kind: 'change', change, label, targets } }
  const names = protectedOf(model, targets)
  return { dialog: { kind: 'confirm', text: '', change, label, targets, names } }
}

/** The question of a confirmation. */
export function questionOf({ label, targets, names }: Confirmation): string {
  const what = `${label} ${describeTargets(targets)}`
  const [name] = names
  return name === undefined ? `${what}? [y/N] ` : `${name} is protected. ${what}? Type its name: `
}
