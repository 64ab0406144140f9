/** Resolves to all items of an asynchronous iterable, like `Array.fromAsync` in later Node.js versions. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
