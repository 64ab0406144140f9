import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

/** The digest of a file in hexadecimal. */
export async function digestFile(
  file: string,
  algorithm: 'sha256' | 'sha512',
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm)
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash, { signal })
  return hash.digest('hex')
}
