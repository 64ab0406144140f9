/** How long to wait for the next task to arrive, in milliseconds. */
const arrivalMs = 1000

/**
 * Creates a barrier for `expected` tasks. It also opens if no further task arrives in time, since a task may have
 * failed before reaching the barrier.
 */
export function createBarrier(expected: number): () => Promise<void> {
  let arrived = 0
  let timer: NodeJS.Timeout | undefined
  let waiting: (() => void)[] = []
  const goOn = (): void => {
    for (const leave of waiting) leave()
    waiting = []
  }
  return () =>
    new Promise((resolve) => {
      arrived += 1
      waiting.push(resolve)
      clearTimeout(timer)
      if (arrived >= expected) goOn()
      else timer = setTimeout(goOn, arrivalMs)
    })
}
