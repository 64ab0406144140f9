import type { Members } from '../../operations/swarm/interrupt-members.ts'
import type { Interruption } from '../../operations/swarm/guard-machines.ts'
import type { Machine } from '../../machine/machine.ts'
import { type Invocation, flag, parsed } from '../command.ts'
import { parseSeconds } from '../options/numbers.ts'

/** The default time limit for the tasks of a drained node to end, in seconds. */
const defaultDrainTimeout = 300

/** The options of commands that interrupt hosts. The hosts may be nodes of swarms. */
export const drainOptions = {
  drainTimeout: parsed(
    '--drain-timeout <seconds>',
    `time limit for draining a swarm node (default: ${defaultDrainTimeout})`,
    parseSeconds,
  ),
  drain: flag('--no-drain', 'do not drain swarm nodes first, and do not check the quorum'),
} as const

/** The values of {@link drainOptions}. */
interface DrainValues {
  readonly drainTimeout: number | undefined
  readonly drain: boolean
}

/**
 * Returns the time limit for the tasks of a drained node to end, in milliseconds. If it is 0, the command does not
 * wait.
 */
export const drainMsOf = ({ drain, drainTimeout = defaultDrainTimeout }: DrainValues): number =>
  drain ? drainTimeout * 1000 : 0

/**
 * Drains the given machines that are nodes of swarms. Resolves to undefined if there are no swarms, or if draining is
 * disabled. Throws kind `failed` if a swarm would lose the majority of its managers. `rolling`: see `Members.open`.
 */
export async function openMembers(
  { fleet }: Pick<Invocation, 'fleet'>,
  machines: readonly { readonly machine: Machine; readonly interruption: Interruption }[],
  options: DrainValues,
  { rolling = false }: { readonly rolling?: boolean } = {},
): Promise<Members | undefined> {
  if (!options.drain || machines.length === 0) return undefined
  const { swarms } = await (await fleet.inventory()).read()
  if (swarms.size === 0) return undefined
  const { Members } = await import('../../operations/swarm/interrupt-members.ts')
  return Members.open(fleet, machines, { drainMs: drainMsOf(options), rolling })
}
