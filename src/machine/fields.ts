import * as z from 'zod'
import { hiddenInPattern } from './hidden-characters.ts'
import { idPattern, noteKeyPattern, tokenPattern } from './record-patterns.ts'

// What the single values of an inventory may look like. Whoever can push to its repository can write them, so each
// is held to what it names: nothing here passes for an option of a program, a path that climbs, or a line of a config file.

// JSON Schema has these patterns too, and its readers know no \p{…}: the rest of what is hidden is looked for in all texts of a file.

/** Letters and digits of all scripts. */
const letter = String.raw`A-Za-z0-9_\u00C0-\u167F\u1681-\u1FFF\u2C00-\u2FFF\u3001-\uD7FF\uF900-\uFDFF`

/** A text on one line of `least` to `most` characters, without hidden ones. */
export const lineOf = (most: number, least = 1) =>
  z
    .string()
    .min(least)
    .max(most)
    .regex(new RegExp(`^[^${hiddenInPattern}]*$`), 'a text on one line')

/** The token of a creation. */
export const token = z.string().regex(tokenPattern, 'a UUID in small letters')

/** A provider's id of a host. */
export const providerId = z
  .string()
  .min(1)
  .regex(idPattern, 'an id as the provider gives it, such as i-0abc')

const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'

/** A host name of at most 253 characters, an IPv4 address, or an IPv6 address with or without a zone (RFC 4007). */
const addressPattern = new RegExp(
  `^(?:(?=.{1,254}$)${label}(?:\\.${label})*\\.?|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\\.[0-9]{1,3}){3})?(?:%[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?)$`,
)

/** Where a host is on a network. */
export const hostAddress = z.string().min(1).regex(addressPattern, 'a host name or an IP address')

/** Who logs in. Directories have users like `user@realm` and `DOMAIN\user`. */
export const loginName = z
  .string()
  .min(1)
  .max(256)
  .regex(
    new RegExp(String.raw`^[${letter}](?:[${letter}.@+\\-]*[${letter}.@+$-])?$`),
    'a user name, without spaces and quotes, and with a letter, digit or "_" first',
  )

/** A TCP port. */
export const port = z.int().min(1).max(65_535)

/** An absolute path of a socket, at most as long as Linux takes. */
export const socketPath = z
  .string()
  .min(1)
  .max(107)
  .regex(
    new RegExp(String.raw`^(?:/(?!\.{1,2}(?:/|$))[${letter}.@%+=:,~ -]+)+$`),
    'an absolute path of a socket, without ".."',
  )

/** A public key without comment, `TYPE BASE64` (RFC 4253 6.6). */
export const publicKey = z
  .string()
  .max(16_384)
  .regex(/^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]+={0,2}$/, 'a public key without comment, TYPE BASE64')

/** A public key as a person keeps it: `TYPE BASE64`, with or without a comment. */
export const commentedKey = z
  .string()
  .max(16_384)
  .regex(
    new RegExp(`^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]+={0,2}(?: [^${hiddenInPattern}]*)?$`),
    'a public key, TYPE BASE64 COMMENT',
  )

/** The fingerprint of a key, as OpenSSH shows it. */
export const keyFingerprint = z
  .string()
  .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'a fingerprint, SHA256:BASE64')

/** The key of a driver's note or option. */
export const noteKey = z
  .string()
  .regex(
    noteKeyPattern,
    'a key of 1 to 64 letters, digits, "_", ".", ":" and "-", with a letter first',
  )

/** The name of a driver, which is also part of a package's name. */
export const driverName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'the name of a driver: 1 to 64 small letters, digits, ".", "_" and "-"',
  )
