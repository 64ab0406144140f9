/** Makes a value when it is first asked for. */
export function lazy<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => (value ??= make())
}

/**
 * Makes a value for each name when it is first asked for, and all who ask share it. One that
 * could not be made is tried anew when it is asked for again.
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
  }
}

/** As {@link memoizeByName}, of what has to be closed in the end. */
export function memoizeByMachine<
  Machine extends { readonly name: string },
  Value extends AsyncDisposable,
>(make: (machine: Machine) => Promise<Value>) {
  const values = memoizeByName<Value>()
  return {
    get: (machine: Machine): Promise<Value> => values.get(machine.name, () => make(machine)),
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
