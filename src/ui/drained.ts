import { once } from 'node:events'
import type { Io } from './io.ts'

/** Resolves once an output takes more: it may be a slow reader's, and what waits for that takes memory. */
export async function drained(stream: Io['stdout']): Promise<void> {
  if (stream.writableNeedDrain) await once(stream, 'drain')
}
