import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from '../../errors.ts'

/** How long an address has before the next one is tried beside it, in milliseconds (RFC 8305 5). */
const headStart = 250

/** That this computer has no way to an address of the kind says less than what another address answers. */
const saysLittle = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

/** The addresses of both families in turn, beginning with the one that the system puts first (RFC 8305 4). */
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

/** Settles as the work does, and rejects at once when the signal aborts. */
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

async function open(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  const socket = connect({ host, port, noDelay: true }) // Nagle's algorithm costs 40 ms a request
  const abort = () => socket.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await once(socket, 'connect')
    return socket
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Connects to a host by the first of its addresses that answers. Each has the whole time; the next is tried beside it when
 * one has not answered soon, or has failed.
 */
export async function connectTcp(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const found = await unlessAborted(lookup(host, { all: true }), signal)
  const decided = new AbortController()
  const stop = AbortSignal.any([signal, decided.signal])
  const failures: unknown[] = []
  let answered: Socket | undefined
  const attempt = async (address: string): Promise<void> => {
    try {
      const socket = await open(address, port, stop)
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
  throw failures.find((error) => !saysLittle.has(codeOf(error) ?? '')) ?? failures[0]
}
