/** What may be split: the body of an answer, as it comes. */
export type Bytes = AsyncIterable<Buffer>

const newline = 0x0a

/** Lines without their newline; an unfinished last line counts. Bytes are decoded by their readers, whole. */
export async function* splitLines(body: Bytes): AsyncGenerator<Buffer, void> {
  let begun: Buffer[] = []
  for await (const chunk of body) {
    let start = 0
    for (let end; (end = chunk.indexOf(newline, start)) !== -1; start = end + 1) {
      const rest = chunk.subarray(start, end)
      yield begun.length === 0 ? rest : Buffer.concat([...begun, rest])
      begun = []
    }
    if (start < chunk.length) begun.push(chunk.subarray(start))
  }
  if (begun.length > 0) yield Buffer.concat(begun)
}

/** The values of a stream of JSON documents, one a line: events, stats, the progress of a pull. */
export async function* readJsonLines<T>(body: Bytes): AsyncGenerator<T, void> {
  for await (const line of splitLines(body)) {
    const text = line.toString().trim()
    if (text !== '') yield JSON.parse(text) as T
  }
}
