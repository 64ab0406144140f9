import { hiddenInPattern } from './hidden-characters.ts'

/** The token of a creation: a UUID (RFC 9562), in small letters as fleet makes them. */
export const tokenPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * A provider's id of a host. It is handed to programs and put into URLs, so that none begins with "-", climbs out of a path
 * or means something to a shell.
 */
export const idPattern = new RegExp(
  String.raw`^(?!-)(?!(?:.*/)?\.{1,2}(?:/|$))[^\s${hiddenInPattern}"'\x60$\\;&|<>*?#%]{1,512}$`,
)

/** The key of a driver's note or option. */
export const noteKeyPattern = /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/

/** A driver's note may have so many characters. */
export const longestNote = 4096
