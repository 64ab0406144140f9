import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { foldNames } from '../../ui/fold-names.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import type { Invocation } from '../command.ts'
import { requireConsent } from '../options/confirmation.ts'

/** A request to remove objects from engines. */
interface EngineRemoval {
  /** A description of each kind of object: `all stopped containers`. */
  readonly items: readonly string[]
  /**
   * Whether volumes, and therefore data, are removed. On a protected machine, this requires a separate confirmation.
   */
  readonly volumes: boolean
  readonly yes: boolean
}

/** Asks the user to type the name of a protected machine. `--yes` does not replace this confirmation. */
async function confirmProtected(io: Io, { name }: Machine): Promise<void> {
  if (!canPrompt(io)) {
    throw new UserError(
      'usage',
      'the machine is protected: removing volumes requires confirmation in a terminal',
      { machine: name, hint: `to remove the protection: fleet set ${name} protected=false` },
    )
  }
  if ((await askText(io, `${name} is protected. Type its name to remove its volumes:`)) === name) {
    return
  }
  throw new UserError(
    'cancelled',
    `nothing was removed: ${name} is protected, and its name was not confirmed`,
    { machine: name },
  )
}

/** Shows what will be removed and from which machines, and asks for confirmation. Throws as `requireConsent` does. */
export async function confirmOnEngines(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  machines: readonly Machine[],
  { items, volumes, yes }: EngineRemoval,
): Promise<void> {
  const names = machines.map(({ name }) => name)
  const changes = items.map((item) => `remove ${item}`)
  const events = names.map((machine) => JSON.stringify({ event: 'plan', machine, changes }))
  if (format.json) io.stderr.write(`${events.join('\n')}\n`)
  const introduction = format.json
    ? ''
    : `The following will be removed from ${foldNames(names)}:\n${items.map((item) => `  ${item}\n`).join('')}`
  const where = names.length === 1 ? 'this machine' : `these ${names.length} machines`
  await requireConsent(io, yes, `Remove all of this from ${where}?`, introduction)
  if (!volumes) return
  for (const machine of machines) if (machine.protected) await confirmProtected(io, machine)
}
