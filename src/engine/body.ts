import type { IncomingMessage } from 'node:http'
import { OddAnswer } from './answer.ts'

/** Thrown inside where nothing came for too long. */
export class Silence extends Error {
  constructor(ms: number) {
    super(`nothing came for ${Math.round(ms / 1000)} s`)
  }
}

/** The body of an answer, no longer than `limit` bytes. It is given up where nothing comes for `patienceMs`. */
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
