import { isIPv6 } from 'node:net'
import { UserError } from '../../errors.ts'

/** An SSH destination, as the user typed it. */
export interface Destination {
  readonly host: string
  readonly user?: string
  readonly port?: number
}

const refuse = (text: string, why: string) =>
  new UserError('usage', `${JSON.stringify(text)} is not a valid SSH destination: ${why}`, {
    hint: 'use user@host, user@host:port or user@[2001:db8::1]:port',
  })

function parsePort(text: string, digits: string): number {
  const port = Number(digits)
  if (!/^\d{1,5}$/.test(digits) || port < 1 || port > 65_535)
    throw refuse(text, `${JSON.stringify(digits)} is not a valid port`)
  return port
}

/** Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address into host and port. */
function splitPort(rest: string): readonly [host: string, port: string | undefined] {
  if (isIPv6(rest)) return [rest, undefined]
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(rest)
  if (bracketed) return [bracketed[1] ?? '', bracketed[2]]
  const colon = rest.lastIndexOf(':')
  return colon < 0 ? [rest, undefined] : [rest.slice(0, colon), rest.slice(colon + 1)]
}

/**
 * Parses `[ssh://][user@]host[:port]`. IPv6 addresses must be in brackets unless there is no port. Throws kind `usage`
 * for any other text. Neither the user nor the host may begin with `-`, so that they cannot be mistaken for an option.
 */
export function parseDestination(text: string): Destination {
  const plain = text.replace(/^ssh:\/\//, '').replace(/\/$/, '')
  const at = plain.lastIndexOf('@')
  const user = at < 0 ? undefined : plain.slice(0, at)
  const [host, port] = splitPort(plain.slice(at + 1))
  if (!/^[^\s:/@[\]-][^\s/@[\]]*$/.test(host) && !isIPv6(host))
    throw refuse(text, 'the host is missing or malformed')
  if (user !== undefined && !/^[^\s-][^\s]*$/.test(user))
    throw refuse(text, 'the user is missing or malformed')
  return {
    host,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: parsePort(text, port) }),
  }
}
