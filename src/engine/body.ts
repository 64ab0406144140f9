import type { IncomingMessage } from 'node:http'
import { OddAnswer } from './answer.ts'

/** No data has arrived for too long. Never shown without context. */
export class Silence extends Error {
  constructor(ms: number) {
    super(`no data for ${Math.round(ms / 1000)} s`)
  }
}

/** Reads the body of a response, up to `limit` bytes. Throws when no data arrives for `patienceMs`. */
export async function readBody(
  answer: IncomingMessage,
  { limit, patienceMs }: { readonly limit: number; readonly patienceMs: number },
): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  const silence = setTimeout(() => answer.destroy(new Silence(patienceMs)), patienceMs)
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > limit) throw new OddAnswer(`it is longer than ${limit} bytes`)
      chunks.push(chunk)
      silence.refresh()
    }
  } finally {
    clearTimeout(silence)
  }
  return Buffer.concat(chunks, length).toString()
}
