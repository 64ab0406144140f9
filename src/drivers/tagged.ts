import { UserError } from '../errors.ts'

/** Tags of a thing at a provider. */
type Tags = Readonly<Record<string, string | undefined>>

/** Whether a thing was made for the host with this token: nothing is for a host that somebody else made, which has none. */
export const isMadeFor = (token: string | undefined, tags: Tags | undefined): boolean =>
  token !== undefined && tags?.['fleet:token'] === token

/** What can be done about things that a record names and that were made for something else. */
export const foreignHint =
  'correct "id" and "resources" under "host" in the inventory, or remove the entry: fleet forget NAME'

/**
 * Throws kind `failed` for a thing that fleet made, if the record is right, and that does not say so. Whoever can write the inventory
 * could name any other. Hosts that somebody else made are what their record says.
 */
export function checkMadeFor(
  token: string | undefined,
  tags: Tags | undefined,
  what: string,
): void {
  if (token === undefined || isMadeFor(token, tags)) return
  throw new UserError(
    'failed',
    `${what} does not have the tags of this machine and was not changed`,
    {
      hint: foreignHint,
    },
  )
}
