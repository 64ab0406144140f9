/** How long those who are there wait for the next, in milliseconds. */
const patience = 1000

/** A place where `expected` pieces of work wait for each other, as long as they keep coming: one that fails before does not come. */
export function openMeeting(expected: number): () => Promise<void> {
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
      else timer = setTimeout(goOn, patience)
    })
}
