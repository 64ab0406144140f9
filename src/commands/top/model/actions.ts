import type { Change } from '../../../operations/top/change-targets.ts'
import type { Target } from '../../../operations/top/open-sources.ts'
import { counted } from '../../../ui/human-units.ts'
import type { Confirmation, Dialog, Effect, Model } from './model.ts'

/** An action of the menu. */
export interface Action {
  readonly key: string
  readonly label: string
  readonly change: Change | 'pull' | 'scale'
  /** Whether the action stops, changes or removes something, so it needs confirmation. */
  readonly isDestructive: boolean
}

const start = { key: 's', label: 'Start', change: 'start', isDestructive: false } as const
const stop = { key: 'o', label: 'Stop', change: 'stop', isDestructive: true } as const
const restart = { key: 'r', label: 'Restart', change: 'restart', isDestructive: true } as const
const remove = { key: 'd', label: 'Remove', change: 'rm', isDestructive: true } as const

const actions: Readonly<Record<Target['kind'], readonly Action[]>> = {
  machine: [start, stop],
  container: [
    start,
    stop,
    restart,
    { key: 'k', label: 'Kill', change: 'kill', isDestructive: true },
    remove,
  ],
  image: [{ key: 'p', label: 'Pull', change: 'pull', isDestructive: false }, remove],
  service: [
    restart,
    { key: 's', label: 'Scale', change: 'scale', isDestructive: true },
    { key: 'b', label: 'Roll back', change: 'rollback', isDestructive: true },
    remove,
  ],
}

/** Returns the actions for targets, which must all be of the same kind. */
export const actionsFor = (targets: readonly Target[]): readonly Action[] =>
  targets[0] === undefined ? [] : actions[targets[0].kind]

/** Describes targets: `container nginx on web-1`, or `3 containers on 2 machines`. */
export function describeTargets(targets: readonly Target[]): string {
  const [first] = targets
  if (first === undefined) return 'nothing'
  const machines = new Set(targets.map(({ machine }) => machine)).size
  if (targets.length === 1) {
    return first.kind === 'machine'
      ? `machine ${first.machine}`
      : `${first.kind} ${first.name} ${placeOf(first)} ${first.machine}`
  }
  if (first.kind === 'machine') return `${targets.length} machines`
  const places = first.kind === 'service' ? `in ${machines} swarms` : `on ${machines} machines`
  const where = machines === 1 ? `${placeOf(first)} ${first.machine}` : places
  return `${targets.length} ${first.kind}s ${where}`
}

const placeOf = ({ kind }: Target): string => (kind === 'service' ? 'in swarm' : 'on')

/** Returns the targets' machines that are protected and, for services, the swarms that have protected machines. */
const protectedOf = (
  { machines, swarms }: Model,
  targets: readonly Target[],
): readonly string[] => [
  ...new Set(
    targets.flatMap(({ kind, machine }) => {
      const isProtected =
        kind === 'service'
          ? swarms.get(machine)?.isProtected
          : machines.get(machine)?.machine.protected
      return isProtected === true ? [machine] : []
    }),
  ),
]

/**
 * Begins an action. If the action needs a number or a confirmation, returns the dialog that asks for it; otherwise,
 * returns the effect of the action.
 */
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
  if (change === 'scale') return { dialog: { kind: 'replicas', text: '', targets } }
  if (!isDestructive) return { effect: { kind: 'change', change, label, targets } }
  const names = protectedOf(model, targets)
  return { dialog: { kind: 'confirm', text: '', change, label, targets, names } }
}

/** Returns the question that a confirmation asks. */
export function questionOf({ label, change, targets, names }: Confirmation): string {
  const to = typeof change === 'object' ? ` to ${counted(change.replicas, 'replica')}` : ''
  const what = `${label} ${describeTargets(targets)}${to}`
  const [name] = names
  return name === undefined
    ? `${what}? [y/N] `
    : `${name} ${protectionOf(targets)}. ${what}? Type ${name} to confirm: `
}

/** Returns why the name of a machine or swarm must be typed. */
export const protectionOf = ([first]: readonly Target[]): string =>
  first?.kind === 'service' ? 'has protected machines' : 'is protected'
