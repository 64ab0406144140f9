/** The body of a response, in chunks. */
export type Bytes = AsyncIterable<Buffer>

const newline = 0x0a

/** Maximum length of a line, in bytes. */
const defaultLimit = 1 << 20

/**
 * Splits a stream into lines without line feeds, including an unfinished last line. A line longer than `limit` bytes is
 * split. The bytes are not decoded, so that no character is split.
 */
export async function* splitLines(body: Bytes, limit = defaultLimit): AsyncGenerator<Buffer, void> {
  let partial: Buffer[] = []
  let held = 0
  const take = (rest: Buffer): Buffer => {
    const line = partial.length === 0 ? rest : Buffer.concat([...partial, rest])
    partial = []
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
        partial.push(chunk.subarray(start))
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
