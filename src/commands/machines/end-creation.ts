import { UserError, messageOf } from '../../errors.ts'
import type { Fleet } from '../../fleet.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Progress } from '../../operations/context.ts'
import { canPrompt, choose } from '../../ui/prompt.ts'
import type { Invocation } from '../definition.ts'
import { sumUp, workOnMachines } from './work-on-machines.ts'

/** Those whose creation was begun and is not finished. */
async function unfinished(fleet: Fleet, names: readonly MachineName[]): Promise<MachineName[]> {
  const { machines } = await (await fleet.inventory()).read()
  return names.filter((name) => machines.get(name)?.host?.phase === 'creating')
}

/** The commands that go on with what was begun, and that undo it. */
const waysOn = (names: readonly string[]): string =>
  `to go on: fleet create ${names.join(' ')}; to undo it: fleet rm ${names.join(' ')}`

/** The error of one machine, with what to do about a creation that was begun. */
export async function explainUnfinished(
  fleet: Fleet,
  names: readonly MachineName[],
  error: unknown,
): Promise<unknown> {
  const begun = await unfinished(fleet, names)
  if (begun.length === 0 || !(error instanceof UserError)) return error
  const { kind, message, machine, hint } = error
  const ways = hint === undefined ? waysOn(begun) : `${hint}; ${waysOn(begun)}`
  return new UserError(kind, message, { machine, hint: ways, cause: error })
}

/** Says how to go on with creations that were begun, after failures that were told. */
export async function tellUnfinished(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  names: readonly MachineName[],
): Promise<void> {
  const begun = await unfinished(fleet, names)
  if (begun.length > 0 && !format.json) io.stderr.write(`  ${waysOn(begun)}\n`)
}

/** Which entries people wrote before, which stay, and what is told of the undoing. */
interface UndoCalls {
  readonly written: ReadonlySet<MachineName>
  readonly progress: Progress
}

/** Undoes a creation that was begun, also when the person has stopped the command. */
async function undo(
  fleet: Fleet,
  name: MachineName,
  { written, progress }: UndoCalls,
): Promise<void> {
  const { undoCreation } = await import('../../operations/undo-creation.ts')
  const { signal } = new AbortController()
  await undoCreation({ ...fleet, signal }, name, {
    progress,
    signal,
    keepEntry: written.has(name),
  })
}

/** Undoes a creation that ended with `error`. Throws kind `failed` with both reasons where that fails. */
export async function rollBack(
  fleet: Fleet,
  name: MachineName,
  error: unknown,
  calls: UndoCalls,
): Promise<void> {
  try {
    await undo(fleet, name, calls)
  } catch (left) {
    const why = `${messageOf(error)}; and it could not be undone: ${messageOf(left)}`
    throw new UserError('failed', why, {
      machine: name,
      hint: `to undo it: fleet rm ${name}`,
      cause: left,
    })
  }
}

/**
 * Settles what becomes of creations that the person stopped: on a terminal it asks whether to keep or to undo
 * them, elsewhere they stay as they are. Throws kind `cancelled`, saying what was done.
 */
export async function settleStopped(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  { names, written }: { names: readonly MachineName[]; written: ReadonlySet<MachineName> },
): Promise<never> {
  const begun = await unfinished(fleet, names)
  const list = begun.join(', ')
  if (begun.length === 0) throw new UserError('cancelled', 'cancelled: nothing is left behind')
  const stays = new UserError('cancelled', `cancelled: ${list} can be finished later`, {
    hint: waysOn(begun),
  })
  if (!canPrompt(io)) throw stays
  const choice = await choose(
    io,
    `${list}: what is to become of what was begun?`,
    [
      { value: 'keep', name: 'keep it, to finish it later' },
      { value: 'undo', name: 'undo it now' },
    ],
    { afterCancel: true },
  ).catch(() => 'keep')
  if (choice === 'keep') throw stays
  const fresh = { ...fleet, signal: new AbortController().signal }
  const outcomes = await workOnMachines(
    { fleet: fresh, io, format },
    begun.map((name) => ({ name })),
    ({ name }, { progress }) => undo(fleet, name, { written, progress }),
  )
  const { failed } = sumUp({ io, format }, outcomes)
  if (failed.length === 0) throw new UserError('cancelled', `cancelled: ${list} is undone`)
  const left = failed.map(({ name }) => name)
  throw new UserError('cancelled', `cancelled: of ${left.join(', ')} something is left`, {
    hint: `to undo it: fleet rm ${left.join(' ')}`,
  })
}
