import { UserError } from '../errors.ts'

/** A resource's tag values, keyed by tag key. */
type Tags = Readonly<Record<string, string | undefined>>

/**
 * Whether a resource belongs to the host with this token. Hosts that fleet did not create have no
 * token and own nothing.
 */
export const isOwnedBy = (token: string | undefined, tags: Tags | undefined): boolean =>
  token !== undefined && tags?.['fleet:token'] === token

/** The hint for resources that a record names but that belong to something else. */
export const foreignHint =
  'correct "id" and "resources" under "host:" in the inventory, or remove the entry: fleet forget NAME'

/**
 * Throws kind `failed` if a resource does not have the token of the record that names it, because anyone who can edit
 * the inventory can name any resource. Records without a token belong to hosts that fleet did not create, and are not
 * checked.
 */
export function checkOwnedBy(
  token: string | undefined,
  tags: Tags | undefined,
  what: string,
): void {
  if (token === undefined || isOwnedBy(token, tags)) return
  throw new UserError('failed', `${what} does not have this machine's tags and was not changed`, {
    hint: foreignHint,
  })
}
