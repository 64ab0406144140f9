interface Arrival<T> {
  readonly source: AsyncIterator<T>
  readonly result: IteratorResult<T>
}

interface Slot<T> {
  readonly resolve: (arrival: Arrival<T>) => void
  readonly reject: (reason: unknown) => void
}

/**
 * The items of all sources, as they come. Reads each source at most one item ahead of its consumer.
 * Ends with the last source; throws what a source throws, and the signal's reason once it is aborted.
 */
export async function* interleave<T>(
  sources: readonly AsyncIterable<T>[],
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  signal.throwIfAborted()
  const iterators = sources.map((source) => source[Symbol.asyncIterator]())
  // Each read has a slot; whichever read ends first fills the first slot still open.
  const slots: Promise<Arrival<T>>[] = []
  const open: Slot<T>[] = []
  const fail = (reason: unknown) => open.shift()?.reject(reason)
  const read = (source: AsyncIterator<T>) => {
    const slot = new Promise<Arrival<T>>((resolve, reject) => open.push({ resolve, reject }))
    slot.catch(() => {}) // nobody waits for it once the consumer has left
    slots.push(slot)
    source.next().then((result) => open.shift()?.resolve({ source, result }), fail)
  }
  const stop = () => fail(signal.reason)
  signal.addEventListener('abort', stop)
  try {
    iterators.forEach(read)
    for (let slot; (slot = slots.shift()) !== undefined;) {
      signal.throwIfAborted()
      const { source, result } = await slot
      if (result.done === true) continue
      read(source)
      yield result.value
    }
  } finally {
    signal.removeEventListener('abort', stop)
    // A source that is waiting ends only when its work does, so this waits for none.
    for (const iterator of iterators) iterator.return?.().catch(() => {})
  }
}
