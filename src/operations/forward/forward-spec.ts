import { UserError } from '../../errors.ts'
import type { SocketAddress } from '../../transport/transport.ts'

/** A port or socket that is forwarded. */
export interface ForwardSpec {
  /**
   * The address on which connections are accepted. The host "localhost" stands for the loopback addresses, and "" for
   * all addresses.
   */
  readonly listen: SocketAddress
  /** The destination of each connection; if absent, the client chooses it with SOCKS. */
  readonly target?: SocketAddress
}

const malformed = (flag: string, text: string, why: string): UserError =>
  new UserError('usage', `invalid value ${JSON.stringify(text)} for ${flag}: ${why}`, {
    hint: `for example: ${flag} ${flag === '-D' ? '1080' : '8080:localhost:80'}, as in ssh`,
  })

/** Splits text at colons. Parts in brackets may contain colons. */
function splitParts(text: string): string[] | undefined {
  const part = /\[([^\]]*)\](?=:|$)|([^:[\]]*)(?=:|$)/y
  const parts: string[] = []
  for (let at = 0; ; at = part.lastIndex + 1) {
    part.lastIndex = at
    const match = part.exec(text)
    if (match === null) return undefined
    parts.push(match[1] ?? match[2] ?? '')
    if (part.lastIndex >= text.length) return parts
  }
}

const isPath = (part: string): boolean => part.includes('/')

/**
 * Parses the value of -L, -R or -D with the syntax of ssh(1): [address:]port:host:port, where either side may be the
 * path of a Unix socket instead, or only [address:]port for SOCKS. Throws kind `usage`.
 */
export function parseForward(flag: '-L' | '-R' | '-D', text: string): ForwardSpec {
  const parts = splitParts(text)
  if (parts === undefined) throw malformed(flag, text, 'a bracket is misplaced or not closed')
  const readPort = (part: string | undefined, lowest: 0 | 1): number => {
    const port = Number(part)
    if (part !== undefined && /^\d{1,5}$/.test(part) && port >= lowest && port <= 65_535)
      return port
    throw malformed(flag, text, `"${part ?? ''}" is not a port`)
  }
  const readListen = (address: string | undefined, port: string | undefined) => ({
    host: address === '*' ? '' : (address ?? 'localhost'),
    port: readPort(port, flag === '-R' ? 0 : 1),
  })
  const readTarget = ([host = '', port]: readonly string[]): SocketAddress => {
    if (host === '') throw malformed(flag, text, 'the host is missing')
    return { host, port: readPort(port, 1) }
  }

  const expected = flag === '-D' ? 'expected [address:]port' : 'expected [address:]port:host:port'
  const [first = '', second = ''] = parts
  if (flag !== '-L' && parts.length === 1) return { listen: readListen(undefined, first) }
  if (flag === '-D') {
    if (parts.length === 2) return { listen: readListen(first, second) }
    throw malformed(flag, text, expected)
  }
  if (flag === '-R' && parts.length === 2 && !isPath(first) && !isPath(second))
    return { listen: readListen(first, second) }
  if (parts.length === 1) throw malformed(flag, text, expected)
  const last = parts.at(-1) ?? ''
  const [target, left] = isPath(last)
    ? [{ path: last }, parts.slice(0, -1)]
    : [readTarget(parts.slice(-2)), parts.slice(0, -2)]
  if (left.length === 1 && isPath(left[0] ?? '')) return { listen: { path: left[0] ?? '' }, target }
  if (left.length === 1) return { listen: readListen(undefined, left[0]), target }
  if (left.length === 2) return { listen: readListen(left[0], left[1]), target }
  throw malformed(flag, text, expected)
}
