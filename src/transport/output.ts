import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'

/** Resolves once whoever reads the stream has all of it. A stream that nobody reads keeps its rest for later. */
export async function outputDelivered(stream: Readable): Promise<void> {
  if (stream.readableFlowing === null) return
  await finished(stream).catch(() => {}) // a reader may have had enough and closed it
}
