interface Arrival<T> {
  readonly source: AsyncIterator<T>
  readonly result: IteratorResult<T>
}

interface Slot<T> {
  readonly resolve: (arrival: Arrival<T>) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Yields the items of all sources as they arrive. Reads each source at most one item ahead of its consumer. Ends when
 * all sources have ended. Throws the error of a source, or the signal's reason when aborted.
 */
export async function* interleave<T>(
  sources: readonly AsyncIterable<T>[],
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  signal.throwIfAborted()
  const iterators = sources.map((source) => source[Symbol.asyncIterator]())
  // Each read adds a slot; whichever read completes first fills the first open slot.
  const slots: Promise<Arrival<T>>[] = []
  const open: Slot<T>[] = []
  const fail = (reason: unknown) => open.shift()?.reject(reason)
  const read = (source: AsyncIterator<T>) => {
    const slot = new Promise<Arrival<T>>((resolve, reject) => open.push({ resolve, reject }))
    slot.catch(() => {}) // once the consumer has left, nothing awaits the slot
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
    // A source that is waiting for its next item cannot return before that arrives, so do not await the return.
    for (const iterator of iterators) iterator.return?.().catch(() => {})
  }
}
