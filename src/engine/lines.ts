/** What may be split: the body of an answer, as it comes. */
export type Bytes = AsyncIterable<Buffer>

const newline = 0x0a

/** How much of a line is held, in bytes: who prints so much without a line end prints no lines. */
const usualLimit = 1 << 20

/**
 * Lines without their newline; an unfinished last line counts, and of one longer than `limit` bytes each part that is as
 * long. Bytes are decoded by their readers, whole.
 */
export async function* splitLines(body: Bytes, limit = usualLimit): AsyncGenerator<Buffer, void> {
  let begun: Buffer[] = []
  let held = 0
  const take = (rest: Buffer): Buffer => {
    const line = begun.length === 0 ? rest : Buffer.concat([...begun, rest])
    begun = []
    held = 0
    return line
  }
  for await (const chunk of body) {
    let start = 0
    while (start < chunk.length) {
      const end = chunk.indexOf(newline, start)
      const stop = end === -1 ? chunk.length : end
      const room = limit - held
      if (stop - start >= room) {
        yield take(chunk.subarray(start, start + room))
        start += room
        if (start === end) start += 1
      } else if (end === -1) {
        begun.push(chunk.subarray(start))
        held += stop - start
        start = stop
      } else {
        yield take(chunk.subarray(start, end))
        start = end + 1
      }
    }
  }
  if (held > 0) yield take(Buffer.alloc(0))
}
