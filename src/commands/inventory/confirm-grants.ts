import { resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import type { FoundGrant } from '../../operations/inventory/grants.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { type Invocation, texts } from '../command.ts'

/** `--allow-path`, which `--yes` does not imply. */
export const allowPathOption = texts(
  '--allow-path <path>',
  'allow machines to use this path outside the inventory directory, now and in later commands (repeatable)',
  'file',
)

/** Saves the paths of `--allow-path`. */
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
 * Asks whether machines may use each path outside the inventory's directory, and saves the answer. Throws kind `usage`
 * if there is no terminal to ask on, and kind `cancelled` if the answer is no.
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
    const question = `Allow ${foldNames([...new Set(names)])} to use ${what}? It is ${why}.`
    if (!(await confirm(io, question))) {
      throw new UserError(
        'cancelled',
        `cancelled: you did not allow access to ${outside}; nothing was changed`,
      )
    }
    await allowPaths(fleet, [outside])
  }
}

/** Lists what machines may use on this computer. Machines with the same grant share a line. */
export async function reportGrants(
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
      : `${foldNames(names)} can use ${what}`
    io.stderr.write(`${line}\n`)
  }
}
