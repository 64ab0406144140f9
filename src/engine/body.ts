import type { IncomingMessage } from 'node:http'
import { InvalidResponse } from './answer.ts'

/** Thrown when no data has arrived for too long. Never shown without context. */
export class IdleTimeout extends Error {
  constructor(ms: number) {
    super(`no data received for ${Math.round(ms / 1000)} s`)
  }
}

/** Reads the body of a response, up to `limit` bytes. Throws when no data arrives for `idleTimeoutMs`. */
export async function readBody(
  answer: IncomingMessage,
  { limit, idleTimeoutMs }: { readonly limit: number; readonly idleTimeoutMs: number },
): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  const idleTimer = setTimeout(() => answer.destroy(new IdleTimeout(idleTimeoutMs)), idleTimeoutMs)
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > limit)
        throw new InvalidResponse(`the response body is longer than ${limit} bytes`)
      chunks.push(chunk)
      idleTimer.refresh()
    }
  } finally {
    clearTimeout(idleTimer)
  }
  return Buffer.concat(chunks, length).toString()
}
