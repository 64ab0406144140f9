import { UserError, messageOf } from '../../../errors.ts'
import type { Fleet } from '../../../app/fleet.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import type { Progress } from '../../../operations/context.ts'
import { foldNames } from '../../../ui/fold-names.ts'
import { canPrompt, choose } from '../../../ui/prompt.ts'
import type { Invocation } from '../../command.ts'
import { summarize, workOnMachines } from '../../multi/work-on-machines.ts'

/** Those whose creation was begun and is not finished. */
async function unfinished(fleet: Fleet, names: readonly string[]): Promise<Machine[]> {
  const { machines } = await (await fleet.inventory()).read()
  const wanted = new Set(names)
  return [...machines.values()].filter(
    ({ name, host }) => wanted.has(name) && host?.phase === 'creating',
  )
}

const namesOf = (machines: readonly Machine[]): MachineName[] => machines.map(({ name }) => name)

/** The commands that go on with what was begun, and that undo it. */
const waysOn = (names: readonly string[], goOn = `fleet create ${names.join(' ')}`): string =>
  `to continue: ${goOn}; to undo it: fleet rm ${names.join(' ')}`

/** Whether somebody else's computer is paid for it: hosts on this one are noted as such. */
const mayCost = ({ host }: Machine): boolean =>
  host?.token !== undefined && host.resources?.['computer'] === undefined

/** What was begun, and that it may be paid for. */
function describeBegun(begun: readonly Machine[]): string {
  const paid = begun.some(mayCost) ? ' and may cost money until removed' : ''
  return `${foldNames(namesOf(begun))} ${begun.length === 1 ? 'is' : 'are'} partly created${paid}`
}

/** The error of one machine, with what to do about a creation that was begun. */
export async function explainUnfinished(
  fleet: Fleet,
  names: readonly MachineName[],
  error: unknown,
  goOn?: string,
): Promise<unknown> {
  const begun = namesOf(await unfinished(fleet, names))
  if (begun.length === 0 || !(error instanceof UserError)) return error
  const { kind, message, machine, hint } = error
  const ways = [hint, waysOn(begun, goOn)].filter((way) => way !== undefined).join('; ')
  return new UserError(kind, message, { machine, hint: ways, cause: error })
}

/** Says how to go on with creations that were begun, after failures that were told; `goOn` is the command that does. */
export async function tellUnfinished(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  names: readonly string[],
  goOn?: string,
): Promise<void> {
  const begun = namesOf(await unfinished(fleet, names))
  if (begun.length > 0 && !format.json) io.stderr.write(`  ${waysOn(begun, goOn)}\n`)
}

/** What an apply that the person stopped leaves behind, and the next commands. */
export async function explainStoppedApply(
  fleet: Fleet,
  names: readonly string[],
): Promise<UserError> {
  const begun = await unfinished(fleet, names)
  const { machines } = await (await fleet.inventory()).read()
  const leaving = [...machines.values()].filter(
    ({ name, host }) => names.includes(name) && host?.phase === 'removing',
  )
  const parts = [
    ...(begun.length === 0 ? [] : [describeBegun(begun)]),
    ...(leaving.length === 0
      ? []
      : [`the removal of ${foldNames(namesOf(leaving))} is not finished`]),
  ]
  const message = [
    'cancelled',
    ...(parts.length === 0 ? ['no host is partly created'] : [parts.join('; ')]),
  ]
  return new UserError('cancelled', message.join(': '), {
    hint: begun.length === 0 ? 'to continue: fleet apply' : waysOn(namesOf(begun), 'fleet apply'),
  })
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
  const { undoCreation } = await import('../../../operations/create/undo-creation.ts')
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
  const list = foldNames(namesOf(begun))
  if (begun.length === 0) throw new UserError('cancelled', 'cancelled: nothing is left behind')
  const stays = new UserError('cancelled', `cancelled: ${describeBegun(begun)}`, {
    hint: waysOn(namesOf(begun)),
  })
  if (!canPrompt(io)) throw stays
  const choice = await choose(
    io,
    'Keep what was begun, or undo it?',
    [
      { value: 'keep', name: 'Keep it, to finish it later' },
      { value: 'undo', name: 'Undo it now' },
    ],
    { preface: `${describeBegun(begun)}\n`, afterCancel: true },
  ).catch(() => 'keep')
  if (choice === 'keep') throw stays
  const fresh = { ...fleet, signal: new AbortController().signal }
  const outcomes = await workOnMachines(
    { fleet: fresh, io, format },
    begun,
    ({ name }, { progress }) => undo(fleet, name, { written, progress }),
  )
  const { failed } = summarize({ io, format }, outcomes)
  if (failed.length === 0) throw new UserError('cancelled', `cancelled: ${list} is undone`)
  const left = failed.map(({ name }) => name)
  throw new UserError('cancelled', `cancelled: of ${left.join(', ')} something is left`, {
    hint: `to undo it: fleet rm ${left.join(' ')}`,
  })
}
