import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'

/** Resolves when the reader of a stream has read all data. Without a reader, the data is kept. */
export async function outputDelivered(stream: Readable): Promise<void> {
  if (stream.readableFlowing === null) return
  await finished(stream).catch(() => {}) // the reader may have closed it
}
