import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../errors.ts'

type Algorithm = 'sha256' | 'sha512'

/** A digest with its algorithm: `sha256:…` or `sha512:…`. */
export type Digest = `${Algorithm}:${string}`

/** Returns a digest's algorithm or, if there is no digest, the algorithm for new digests. */
export const algorithmOf = (digest: Digest | undefined): Algorithm =>
  digest?.startsWith('sha512:') === true ? 'sha512' : 'sha256'

/** Returns the digest of a file in hexadecimal. */
export async function digestFile(
  file: string,
  algorithm: Algorithm,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm)
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash, { signal })
  return hash.digest('hex')
}

/** Whether a file has the given digest. */
export async function hasDigest(
  file: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  const algorithm = algorithmOf(digest)
  return digest === `${algorithm}:${await digestFile(file, algorithm, signal)}`
}

const hexOf = (digest: Digest): string => digest.slice(digest.indexOf(':') + 1)

/**
 * Throws kind `failed` with `hint` if an image's digest is not the expected one. If no digest is expected, any digest
 * is accepted.
 */
export function checkDigest(
  image: string,
  found: Digest,
  expected: Digest | undefined,
  hint: string,
): void {
  if (expected === undefined || found === expected) return
  throw new UserError(
    'failed',
    `checksum mismatch for ${image}: expected ${hexOf(expected)}, got ${hexOf(found)}`,
    { hint },
  )
}
