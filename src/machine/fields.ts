import * as z from 'zod'
import { hiddenInPattern } from './hidden-characters.ts'
import { idPattern, resourceKeyPattern, tokenPattern } from './record-patterns.ts'

// The formats of single values in an inventory. Anyone who can push to the repository can write them, so each format
// is strict: no value can be mistaken for a command-line option, escape from a directory, or add a line to a
// configuration file.

// The patterns are also part of the JSON Schema, and programs that read it do not support \p{…}. Other invisible
// characters are rejected by a separate check of all strings in a file.

/** Letters and digits of all scripts, for a character class. */
const letter = String.raw`A-Za-z0-9_\u00C0-\u167F\u1681-\u1FFF\u2C00-\u2FFF\u3001-\uD7FF\uF900-\uFDFF`

/** A single line of `least` to `most` characters. Invisible characters are not allowed. */
export const lineOf = (most: number, least = 1) =>
  z
    .string()
    .min(least)
    .max(most)
    .regex(new RegExp(`^[^${hiddenInPattern}]*$`), 'a single line of text')

/** The creation token of a host. */
export const token = z.string().regex(tokenPattern, 'a UUID in lower case')

/** A provider's host ID. */
export const providerId = z.string().min(1).regex(idPattern, 'a provider ID such as i-0abc')

const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'

/** A host name of at most 253 characters, an IPv4 address, or an IPv6 address, which may have a zone (RFC 4007). */
const addressPattern = new RegExp(
  `^(?:(?=.{1,254}$)${label}(?:\\.${label})*\\.?|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\\.[0-9]{1,3}){3})?(?:%[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?)$`,
)

/** The network address of a host. */
export const hostAddress = z.string().min(1).regex(addressPattern, 'a host name or an IP address')

/** A login name. Directory services have user names such as `user@realm` and `DOMAIN\user`. */
export const loginName = z
  .string()
  .min(1)
  .max(256)
  .regex(
    new RegExp(String.raw`^[${letter}](?:[${letter}.@+\\-]*[${letter}.@+$-])?$`),
    'a user name that begins with a letter, a digit or "_" and has no spaces or quotes',
  )

const sshHost = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?'
const ipv6 = '[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}'
const sshUser = '[A-Za-z0-9_](?:[A-Za-z0-9_.@+-]{0,62}[A-Za-z0-9_])?'

/**
 * `[user@]host[:port]` for ssh. A user of the inventory may have an ssh configuration that puts user and host into
 * shell commands, so characters that a shell, ssh or a pattern in ssh_config would interpret are not allowed.
 */
export const sshDestination = z
  .string()
  .regex(
    new RegExp(
      `^(?:${sshUser}@)?(?:${sshHost}(?::[1-9][0-9]{0,4})?|${ipv6}|\\[${ipv6}\\](?::[1-9][0-9]{0,4})?)$`,
    ),
    '[user@]host[:port] with only letters, digits, ".", "_" and "-"',
  )

/** A TCP port. */
export const port = z.int().min(1).max(65_535)

/** The absolute path of a Unix socket. Linux allows up to 107 bytes (unix(7)). */
export const socketPath = z
  .string()
  .min(1)
  .max(107)
  .regex(
    new RegExp(String.raw`^(?:/(?!\.{1,2}(?:/|$))[${letter}.@%+=:,~ -]+)+$`),
    'an absolute socket path without ".."',
  )

/** A public key without a comment, `TYPE BASE64` (RFC 4253, section 6.6). */
export const publicKey = z
  .string()
  .max(16_384)
  .regex(/^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]+={0,2}$/, 'a public key without a comment (TYPE BASE64)')

/** A public key as in a .pub file: `TYPE BASE64`, with or without a comment. */
export const commentedKey = z
  .string()
  .max(16_384)
  .regex(
    new RegExp(`^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]+={0,2}(?: [^${hiddenInPattern}]*)?$`),
    'a public key (TYPE BASE64 COMMENT)',
  )

/** The fingerprint of a key, in the format of OpenSSH. */
export const keyFingerprint = z
  .string()
  .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'a key fingerprint (SHA256:BASE64)')

/** A key in `resources` or `options`. */
export const resourceKey = z
  .string()
  .regex(
    resourceKeyPattern,
    '1 to 64 letters, digits, "_", ".", ":" or "-", beginning with a letter',
  )

/** The name of a driver. It is also part of the name of its npm package. */
export const driverName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'a driver name: 1 to 64 lowercase letters, digits, ".", "_" or "-"',
  )
