interface Head<T> {
  readonly source: AsyncIterator<T>
  readonly item: T
}

/** Merges sources that are sorted by `key`. Holds only one item of each source in memory. */
export async function* mergeSorted<T>(
  sources: readonly AsyncIterable<T>[],
  key: (item: T) => string,
): AsyncGenerator<T, void> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]())
  try {
    const heads = (await Promise.all(iterators.map(nextOf))).filter((head) => head !== undefined)
    heads.sort((a, b) => compare(key(a.item), key(b.item)))
    for (let head; (head = heads.shift()) !== undefined;) {
      yield head.item
      const next = await nextOf(head.source)
      if (next !== undefined) heads.splice(insertionIndex(key(next.item), heads, key), 0, next)
    }
  } finally {
    for (const iterator of iterators) iterator.return?.().catch(() => {})
  }
}

async function nextOf<T>(source: AsyncIterator<T>): Promise<Head<T> | undefined> {
  const { done, value } = await source.next()
  return done === true ? undefined : { source, item: value }
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

/**
 * The index at which to insert a key among sorted heads. It comes before equal keys, so that items of the same source
 * stay together.
 */
function insertionIndex<T>(
  wanted: string,
  heads: readonly Head<T>[],
  key: (item: T) => string,
): number {
  const index = heads.findIndex(({ item }) => key(item) >= wanted)
  return index === -1 ? heads.length : index
}
