import { ignored } from './trace.ts'

/** Creates a value at the first call, and returns the same promise afterwards. */
export function lazy<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => (value ??= make())
}

/**
 * Creates one value for each name at the first call; later calls share it. If creation fails, the next call tries again.
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
    /** Forgets a value, unless the name has another one by now. */
    forget(name: string, value: Promise<Value>): void {
      if (values.get(name) === value) values.delete(name)
    },
  }
}

/**
 * {@link memoizeByName} for values of machines that have to be disposed. `make` also receives a function that forgets the value and
 * disposes of it, because it cannot be used any more: the next call makes another one.
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
 * Runs `work` once at a time. Calls that come during a run share the next one, which begins after all of them, so each
 * sees what was there when it was made.
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
