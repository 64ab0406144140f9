import { realpath } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { resolvePath } from '../../state/inventory/resolve-path.ts'
import type { AllowedVariable } from '../../state/home/trust.ts'
import { shellLine } from '../../transport/command.ts'
import { type GrantContext, allowPaths, isPathAllowed } from '../inventory/grants.ts'
import type { ResolvedStack } from './resolve-stack.ts'
import type { StackFiles } from './stack-files.ts'

/**
 * A file, directory or variable on this computer that a stack would send to its hosts and that the user has not allowed
 * yet.
 */
export type StackGrant =
  | { readonly stack: string; readonly path: string }
  | { readonly stack: string; readonly variable: string }

type Needed = Pick<GrantContext, 'inventory' | 'trust'>

/** Matches variables whose values may be sent to a host without permission. */
const harmless = /^(?:HOME|LANG|LANGUAGE|LC_[A-Z]+|LOGNAME|PWD|SHELL|TZ|USER)$/

/**
 * Finds the files, directories and variables on this computer that a stack uses and that the user must allow: files and
 * directories outside the inventory's directory, and shell variables. A Compose file may have been written by another
 * user, who must not be able to send a private key to a host.
 */
export async function findStackGrants(
  { inventory, trust }: Needed,
  { stack: { name: stack }, variables }: StackFiles,
  resolved: readonly Pick<ResolvedStack, 'taken'>[],
): Promise<readonly StackGrant[]> {
  const { location } = await inventory()
  const taken = new Set(resolved.flatMap((one) => one.taken))
  const outside = new Set<string>()
  for (const file of taken) {
    const { path, isInside } = await resolvePath(location, file)
    if (!isInside && !(await isPathAllowed({ trust }, location, path))) outside.add(path)
  }
  const [key, { variables: allowed }] = [await realpath(location), await (await trust()).read()]
  const isAllowed = (variable: string): boolean =>
    allowed.some((one) => one.inventory === key && one.stack === stack && one.variable === variable)
  const asked = Object.keys(variables).filter((name) => !harmless.test(name) && !isAllowed(name))
  return [
    ...[...outside].toSorted().map((path) => ({ stack, path })),
    ...asked.toSorted().map((variable) => ({ stack, variable })),
  ]
}

/** Describes a grant: `the file or directory /home/ana/.ssh/id_rsa on this computer`. */
export const describeStackGrant = (grant: StackGrant): string =>
  'path' in grant
    ? `the file or directory ${grant.path} on this computer`
    : `the variable ${grant.variable} in your shell`

/** Records that the user allows the files, directories and variables of these grants. */
export async function allowStackGrants(
  context: GrantContext,
  grants: readonly StackGrant[],
): Promise<void> {
  await allowPaths(
    context,
    grants.flatMap((grant) => ('path' in grant ? [grant.path] : [])),
  )
  const inventory = await realpath((await context.inventory()).location)
  const added = grants.flatMap((grant): AllowedVariable[] =>
    'path' in grant ? [] : [{ inventory, stack: grant.stack, variable: grant.variable }],
  )
  if (added.length === 0) return
  const isAdded = (one: AllowedVariable): boolean =>
    added.some(
      (other) =>
        other.inventory === one.inventory &&
        other.stack === one.stack &&
        other.variable === one.variable,
    )
  await (
    await context.trust()
  ).update((before) => ({
    ...before,
    variables: [...before.variables.filter((one) => !isAdded(one)), ...added],
  }))
}

/** Throws kind `usage` if there are any grants. `command` is the command to show in the hint. */
export function requireStackGrants(grants: readonly StackGrant[], command: string): void {
  if (grants.length === 0) return
  const lines = grants.map((grant) => `${grant.stack}: ${describeStackGrant(grant)}`)
  const words = grants.flatMap((grant) =>
    'path' in grant ? ['--allow-path', grant.path] : ['--allow-variable', grant.variable],
  )
  throw new UserError(
    'usage',
    `stacks use files and environment variables from this computer that you have not allowed yet:\n${lines.join('\n')}`,
    { hint: `to allow access: ${command} ${shellLine(words)}` },
  )
}
