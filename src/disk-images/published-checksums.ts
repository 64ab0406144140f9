import type { Readable } from 'node:stream'
import { UserError } from '../errors.ts'
import { fetchUrl } from './fetch-url.ts'
import type { PublishedImage } from './named-images.ts'

/** Timeout for fetching the list of checksums, in milliseconds. A cached image can be used without the list. */
const listTimeout = 20_000

/** Maximum size of the list in bytes. Published lists are only a few kilobytes long. */
const maxListSize = 2 ** 20

async function readList(answer: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxListSize) throw new Error(`the checksum list is longer than ${maxListSize} bytes`)
  }
  return Buffer.concat(chunks).toString()
}

/** Fetches the published digest of an image. Throws kind `unreachable` if that fails. */
export async function fetchChecksum(
  { url, checksums }: PublishedImage,
  signal: AbortSignal,
): Promise<string> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(listTimeout)])
  const unreachable = (cause: unknown): UserError =>
    new UserError('unreachable', `cannot fetch ${checksums.url}`, {
      hint: 'check the network; if you use a proxy, set HTTPS_PROXY',
      cause,
    })
  const list = await fetchUrl(checksums.url, {}, limited)
    .then(readList)
    .catch((error: unknown) => {
      signal.throwIfAborted()
      throw error instanceof UserError ? error : unreachable(error)
    })
  const name = new URL(url).pathname.split('/').at(-1)
  for (const line of list.split(/\r?\n/)) {
    const [, digest, file] = /^([0-9a-f]{64,128}) [ *](.+)$/.exec(line) ?? []
    if (file === name && digest !== undefined) return digest
  }
  throw new UserError('unreachable', `${checksums.url} has no checksum for ${name}`, {
    hint: 'try again later: the publisher may be replacing the images',
  })
}
