import { UserError, messageOf } from '../../../errors.ts'
import type { Fleet } from '../../../app/fleet.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import type { Progress } from '../../../os/progress.ts'
import { foldNames } from '../../../ui/fold-names.ts'
import { canPrompt, choose } from '../../../ui/prompt.ts'
import type { Invocation } from '../../command.ts'
import { summarize, workOnMachines } from '../../multi/work-on-machines.ts'

/** Resolves to the named machines whose creation has been started but is not complete. */
async function unfinished(fleet: Fleet, names: readonly string[]): Promise<Machine[]> {
  const { machines } = await (await fleet.inventory()).read()
  const wanted = new Set(names)
  return [...machines.values()].filter(
    ({ name, host }) => wanted.has(name) && host?.phase === 'creating',
  )
}

const namesOf = (machines: readonly Machine[]): MachineName[] => machines.map(({ name }) => name)

/** Returns the commands that continue or undo a creation. */
const nextSteps = (
  names: readonly string[],
  continueWith = `fleet create ${names.join(' ')}`,
): string => `to continue: ${continueWith}; to clean up: fleet rm ${names.join(' ')}`

/** Whether the host may cost money. Hosts on this computer have `computer` in their resources. */
const mayCost = ({ host }: Machine): boolean =>
  host?.token !== undefined && host.resources?.['computer'] === undefined

/** Describes the partly created machines, and says whether they may cost money. */
function describePartial(partial: readonly Machine[]): string {
  const costNote = partial.some(mayCost) ? ' and may cost money until removed' : ''
  return `${foldNames(namesOf(partial))} ${partial.length === 1 ? 'was' : 'were'} only partly created${costNote}`
}

/**
 * Resolves to `error`. If the creation of a named machine is incomplete, the commands that continue or undo it are
 * added to the hint.
 */
export async function explainUnfinished(
  fleet: Fleet,
  names: readonly MachineName[],
  error: unknown,
  continueWith?: string,
): Promise<unknown> {
  const partial = namesOf(await unfinished(fleet, names))
  if (partial.length === 0 || !(error instanceof UserError)) return error
  const { kind, message, machine, hint } = error
  const hints = [hint, nextSteps(partial, continueWith)]
    .filter((step) => step !== undefined)
    .join('; ')
  return new UserError(kind, message, { machine, hint: hints, cause: error })
}

/**
 * Prints the commands that continue or undo incomplete creations, after their failures have been reported.
 * `continueWith` is the command that continues.
 */
export async function reportUnfinished(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  names: readonly string[],
  continueWith?: string,
): Promise<void> {
  const partial = namesOf(await unfinished(fleet, names))
  if (partial.length > 0 && !format.json) io.stderr.write(`  ${nextSteps(partial, continueWith)}\n`)
}

/**
 * Resolves to the error for an interrupted apply: it says which machines are only partly created or removed, and which
 * command to run next.
 */
export async function explainStoppedApply(
  fleet: Fleet,
  names: readonly string[],
): Promise<UserError> {
  const partial = await unfinished(fleet, names)
  const { machines } = await (await fleet.inventory()).read()
  const leaving = [...machines.values()].filter(
    ({ name, host }) => names.includes(name) && host?.phase === 'removing',
  )
  const parts = [
    ...(partial.length === 0 ? [] : [describePartial(partial)]),
    ...(leaving.length === 0
      ? []
      : [
          `${foldNames(namesOf(leaving))} ${leaving.length === 1 ? 'was' : 'were'} only partly removed`,
        ]),
  ]
  const message = [
    'cancelled',
    ...(parts.length === 0 ? ['no partly created hosts remain'] : [parts.join('; ')]),
  ]
  return new UserError('cancelled', message.join(': '), {
    hint:
      partial.length === 0
        ? 'to continue: fleet apply'
        : nextSteps(namesOf(partial), 'fleet apply'),
  })
}

/**
 * The parameters for undoing a creation. `written`: the machines whose entries already existed and are therefore kept.
 */
interface UndoCalls {
  readonly written: ReadonlySet<MachineName>
  readonly progress: Progress
}

/** Undoes a creation, even if the command was interrupted. */
async function undo(
  fleet: Fleet,
  name: MachineName,
  { written, progress }: UndoCalls,
): Promise<void> {
  const { undoCreation } = await import('../../../operations/create/undo-creation.ts')
  const { signal } = new AbortController()
  await undoCreation(fleet.with({ signal }), name, {
    progress,
    signal,
    keepEntry: written.has(name),
  })
}

/** Undoes a creation that failed with `error`. If that fails too, throws kind `failed` with both reasons. */
export async function rollBack(
  fleet: Fleet,
  name: MachineName,
  error: unknown,
  calls: UndoCalls,
): Promise<void> {
  try {
    await undo(fleet, name, calls)
  } catch (left) {
    const why = `${messageOf(error)}; removing the host also failed: ${messageOf(left)}`
    throw new UserError('failed', why, {
      machine: name,
      hint: `to remove the host: fleet rm ${name}`,
      cause: left,
    })
  }
}

/**
 * Handles creations that the user interrupted. On a terminal, asks whether to keep or undo them; otherwise, keeps them.
 * Throws kind `cancelled` with a message that says what was done.
 */
export async function handleInterruption(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  { names, written }: { names: readonly MachineName[]; written: ReadonlySet<MachineName> },
): Promise<never> {
  const partial = await unfinished(fleet, names)
  const list = foldNames(namesOf(partial))
  if (partial.length === 0)
    throw new UserError('cancelled', 'cancelled: no partly created hosts remain')
  const stays = new UserError('cancelled', `cancelled: ${describePartial(partial)}`, {
    hint: nextSteps(namesOf(partial)),
  })
  if (!canPrompt(io)) throw stays
  const choice = await choose(
    io,
    'Finish later, or remove now?',
    [
      { value: 'keep', name: 'Keep and finish later' },
      { value: 'undo', name: 'Remove now' },
    ],
    { introduction: `${describePartial(partial)}\n`, afterCancel: true },
  ).catch(() => 'keep')
  if (choice === 'keep') throw stays
  const fresh = fleet.with({ signal: new AbortController().signal })
  const outcomes = await workOnMachines(
    { fleet: fresh, io, format },
    partial,
    ({ name }, { progress }) => undo(fleet, name, { written, progress }),
  )
  const { failed } = summarize({ io, format }, outcomes)
  if (failed.length === 0) throw new UserError('cancelled', `cancelled: removed ${list}`)
  const left = failed.map(({ name }) => name)
  throw new UserError(
    'cancelled',
    `cancelled: could not remove everything that was created for ${left.join(', ')}`,
    {
      hint: `to remove what remains: fleet rm ${left.join(' ')}`,
    },
  )
}
