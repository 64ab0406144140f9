/** A promise that the test settles. */
export interface Gate {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Creates a pending promise. */
export function makeGate(): Gate {
  let settle: Omit<Gate, 'promise'> | undefined
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: () => settle?.resolve(), reject: (reason) => settle?.reject(reason) }
}
