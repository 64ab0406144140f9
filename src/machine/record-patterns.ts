import { hiddenInPattern } from './hidden-characters.ts'

/** The creation token of a host: a UUID (RFC 9562) in lower case, as fleet generates it. */
export const tokenPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * A provider's host ID. It is passed to programs and put into URLs, so it must not begin with "-", have "." or ".." as
 * a path segment, or contain a character that a shell interprets.
 */
export const idPattern = new RegExp(
  String.raw`^(?!-)(?!(?:.*/)?\.{1,2}(?:/|$))[^\s${hiddenInPattern}"'\x60$\\;&|<>*?#%]{1,512}$`,
)

/** A key in `resources` or `options`. */
export const resourceKeyPattern = /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/

/** The maximum length of a value in `resources`, in characters. */
export const maxResourceLength = 4096
