import { resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import type { FoundGrant } from '../../operations/inventory/grants.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { type Invocation, texts } from '../command.ts'

/** `--allow-path`: `--yes` does not stand for it. */
export const allowPathOption = texts(
  '--allow-path <path>',
  'a file, folder or socket outside the folder of the inventory that machines may have; remembered (repeatable)',
  'file',
)

/** Remembers what `--allow-path` names. */
export async function allowNamedPaths(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  paths: readonly string[],
): Promise<void> {
  const { allowPaths } = await import('../../operations/inventory/grants.ts')
  await allowPaths(
    fleet,
    paths.map((path) => resolve(io.cwd, path)),
  )
}

/**
 * Asks for each file and folder outside the folder of the inventory whether machines may have it, and remembers that. Throws kind
 * `usage` where there is nobody to ask, `cancelled` at a no.
 */
export async function confirmGrants(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  grants: readonly FoundGrant[],
  command: string,
): Promise<void> {
  const { allowPaths, requireAllowed } = await import('../../operations/inventory/grants.ts')
  if (!canPrompt(io)) requireAllowed(grants, command)
  const asked = new Set<string>()
  for (const { what, outside, why } of grants) {
    if (outside === undefined || asked.has(outside)) continue
    asked.add(outside)
    const names = grants.filter((one) => one.outside === outside).map(({ machine }) => machine)
    const question = `Give ${foldNames([...new Set(names)])} the ${what}? It is ${why}.`
    if (!(await confirm(io, question))) {
      throw new UserError(
        'cancelled',
        `cancelled: ${outside} was not allowed, and nothing was changed`,
      )
    }
    await allowPaths(fleet, [outside])
  }
}

/** Tells what machines are given, those of the same in one line. */
export async function tellGrants(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  grants: readonly FoundGrant[],
): Promise<void> {
  const { describeGrant } = await import('../../operations/inventory/grants.ts')
  const owners = new Map<string, string[]>()
  for (const grant of grants) {
    const what = describeGrant(grant)
    owners.set(what, [...(owners.get(what) ?? []), grant.machine])
  }
  for (const [what, names] of owners) {
    const line = format.json
      ? JSON.stringify({ event: 'grant', machines: names, what })
      : `${foldNames(names)}: gets ${what}`
    io.stderr.write(`${line}\n`)
  }
}
