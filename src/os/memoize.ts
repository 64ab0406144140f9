import { ignored } from './trace.ts'

/** Returns a function that creates a value on its first call, and returns the same promise afterwards. */
export function lazy<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => (value ??= make())
}

/**
 * Creates a cache with one value for each name. The first call of `get` for a name creates the value, and later calls
 * share it. If creation fails, the next call tries again.
 */
export function memoizeByName<Value>() {
  const values = new Map<string, Promise<Value>>()
  return {
    values: () => values.values(),
    get(name: string, make: () => Promise<Value>): Promise<Value> {
      const known = values.get(name)
      if (known !== undefined) return known
      const value = make()
      values.set(name, value)
      value.catch(() => values.delete(name))
      return value
    },
    /** Removes a value from the cache, unless it has been replaced by a newer value. */
    forget(name: string, value: Promise<Value>): void {
      if (values.get(name) === value) values.delete(name)
    },
  }
}

/**
 * Like {@link memoizeByName}, for per-machine values that must be disposed of. `make` also receives a function to call
 * when the value is no longer usable: it removes the value and disposes of it, and the next call creates another one.
 */
export function memoizeByMachine<
  Machine extends { readonly name: string },
  Value extends AsyncDisposable,
>(make: (machine: Machine, forget: () => void) => Promise<Value>) {
  const values = memoizeByName<Value>()
  return {
    get: (machine: Machine): Promise<Value> =>
      values.get(machine.name, () => {
        const value = make(machine, () => {
          values.forget(machine.name, value)
          void value
            .then((made) => made[Symbol.asyncDispose]())
            .catch(ignored('ssh', 'close a lost connection'))
        })
        return value
      }),
    async dispose(): Promise<void> {
      const made = await Promise.allSettled(values.values())
      await Promise.all(
        made
          .filter((result) => result.status === 'fulfilled')
          .map(({ value }) => value[Symbol.asyncDispose]()),
      )
    },
  }
}

/**
 * Returns a function that runs `work`, but only one run at a time. Calls during a run share the next run, which starts
 * after all of them, so that no result is older than its call.
 */
export function shareNextCall<Value>(work: () => Promise<Value>): () => Promise<Value> {
  let running: Promise<Value> | undefined
  let next: Promise<Value> | undefined
  const start = (): Promise<Value> => {
    next = undefined
    const run = work().finally(() => {
      if (running === run) running = undefined
    })
    running = run
    return run
  }
  return () => {
    if (next !== undefined) return next
    if (running === undefined) return start()
    next = running.then(start, start)
    return next
  }
}
