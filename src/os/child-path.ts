import { join } from 'node:path'
import { UserError } from '../errors.ts'

/** A file name that is a single path segment on every operating system. */
// oxlint-disable-next-line no-control-regex
const plainName = /^(?!\.{1,2}$)[^/\\:\0-\x1F\x7F]{1,255}$/

/**
 * Joins a directory and a file name. Throws kind `inventory` if the name is not a single path segment: names come from
 * files that other users write, and must not refer to a file outside the directory.
 */
export function childPath(folder: string, name: string): string {
  if (plainName.test(name)) return join(folder, name)
  throw new UserError('inventory', `${JSON.stringify(name)} is not a valid file name`, {
    hint: 'check who last changed the inventory: git log -p machines.yaml',
  })
}
