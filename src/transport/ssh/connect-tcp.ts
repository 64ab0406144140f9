import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { type Socket, connect, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError, codeOf } from '../../errors.ts'
import type { SshSettings } from './config/settings.ts'

/** The IP version to connect over, and the local address to connect from. */
type Binding = Pick<SshSettings, 'family' | 'bind'>

/**
 * How long to wait for a connection to one address before the next address is tried in parallel, in milliseconds (RFC
 * 8305 5).
 */
const headStart = 250

/** Error codes that report a problem in this computer's own network. An error from another address is more helpful. */
const vagueCodes = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

/**
 * Returns the addresses with the two families alternating, starting with the family that the system prefers (RFC 8305
 * 4).
 */
export function interleaveFamilies(
  found: readonly { readonly address: string; readonly family: number }[],
): readonly string[] {
  const first = found.filter(({ family }) => family === found[0]?.family)
  const other = found.filter(({ family }) => family !== found[0]?.family)
  return Array.from({ length: Math.max(first.length, other.length) }, (_, index) => [
    first[index],
    other[index],
  ])
    .flat()
    .flatMap((one) => (one === undefined ? [] : [one.address]))
}

/** Settles as `work` does, but rejects immediately when `signal` is aborted. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const settled = new AbortController()
  const aborted = once(signal, 'abort', { signal: settled.signal }).then(
    () => Promise.reject(signal.reason),
    () => new Promise<never>(() => {}),
  )
  try {
    signal.throwIfAborted()
    return await Promise.race([work, aborted])
  } finally {
    settled.abort()
  }
}

/**
 * Returns the local address to connect from; undefined if the system may choose. Throws kind `usage` if the interface
 * has no address of the given family.
 */
function localAddress(bind: Binding['bind'], family: number): string | undefined {
  if (bind === undefined) return undefined
  if ('address' in bind) return isIP(bind.address) === family ? bind.address : undefined
  const found = networkInterfaces()[bind.interface]?.find(
    (one) => (one.family === 'IPv6' ? 6 : 4) === family && !/^fe80:/i.test(one.address),
  )
  if (found !== undefined) return found.address
  throw new UserError(
    'usage',
    `cannot connect from the interface ${bind.interface}: it has no IPv${family} address`,
    { hint: 'check BindInterface in your SSH configuration' },
  )
}

async function open(
  { host, port, bind }: { host: string; port: number; bind: Binding['bind'] },
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted()
  const from = localAddress(bind, isIP(host.replace(/%.*$/, '')))
  const to = { host, port, ...(from !== undefined && { localAddress: from }) }
  const socket = connect({ ...to, noDelay: true }) // Nagle's algorithm costs 40 ms per request
  const abort = () => socket.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await once(socket, 'connect')
    return socket
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Returns the error for an address whose zone (RFC 4007 11) is not a network interface of this computer. */
function interfaceMissing(host: string, cause: unknown): Error | undefined {
  const [, zone] = /^[0-9a-f:.]+%(.*[^0-9].*)$/i.exec(host) ?? []
  if (zone === undefined || zone in networkInterfaces()) return undefined
  const error = new Error(`this computer has no network interface ${zone}`, { cause })
  return Object.assign(error, { code: 'NO_INTERFACE' })
}

/**
 * Connects to a host at the address that answers first. If an attempt has failed, or has not succeeded soon, the next
 * address is tried in parallel. Each attempt may use the whole time limit.
 */
export async function connectTcp(
  ...[host, port, signal, binding]: Parameters<typeof connectToFirst>
): Promise<Socket> {
  try {
    return await connectToFirst(host, port, signal, binding)
  } catch (error) {
    signal.throwIfAborted()
    throw interfaceMissing(host, error) ?? error
  }
}

async function connectToFirst(
  host: string,
  port: number,
  signal: AbortSignal,
  { family, bind }: Binding = {},
): Promise<Socket> {
  const all = await unlessAborted(lookup(host, { all: true, family: family ?? 0 }), signal)
  const found = all.filter((one) => family === undefined || one.family === family)
  if (found.length === 0) {
    throw Object.assign(new Error(`${host} has no IPv${family} address`), { code: 'ENOTFOUND' })
  }
  const decided = new AbortController()
  const stop = AbortSignal.any([signal, decided.signal])
  const failures: unknown[] = []
  let answered: Socket | undefined
  const attempt = async (address: string): Promise<void> => {
    try {
      const socket = await open({ host: address, port, bind }, stop)
      if (answered === undefined) answered = socket
      else socket.destroy()
      decided.abort()
    } catch (error) {
      failures.push(error)
    }
  }
  const attempts: Promise<void>[] = []
  for (const address of interleaveFamilies(found)) {
    if (stop.aborted) break
    const trying = attempt(address)
    attempts.push(trying)
    await Promise.race([trying, sleep(headStart)])
  }
  await Promise.race([Promise.all(attempts), once(stop, 'abort')])
  if (answered !== undefined) return answered
  signal.throwIfAborted()
  throw failures.find((error) => !vagueCodes.has(codeOf(error) ?? '')) ?? failures[0]
}
