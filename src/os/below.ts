import { join } from 'node:path'
import { UserError } from '../errors.ts'

/** What a name on a disk can have, so that it names one thing in its folder on every system. */
// oxlint-disable-next-line no-control-regex
const plainName = /^(?!\.{1,2}$)[^/\\:\0-\x1F\x7F]{1,255}$/

/**
 * The path of `name` in `folder`, which it cannot leave: names come from files that others write. Throws kind `inventory`
 * for one that is no single part of a path.
 */
export function below(folder: string, name: string): string {
  if (plainName.test(name)) return join(folder, name)
  throw new UserError('inventory', `${JSON.stringify(name)} cannot be the name of a file`, {
    hint: 'look at who last changed the inventory: git log -p machines.yaml',
  })
}
