import { foldNames } from '../fold-names.ts'
import type { Io } from '../io.ts'

/** After how long it is first told who has not answered, and how often then, in milliseconds. */
const firstMs = 3000
const againMs = 10_000

/** Tells a person which machines are still waited for. */
export interface Waiting extends Disposable {
  /** This one is waited for no more. */
  done(name: string): void
}

/** What tells the time: it stands still while a question is open. */
interface Clock {
  start(ms: number, expire: () => void): () => void
}

/** Begins to wait for machines. */
export function tellWaiting(
  io: Io,
  { json }: { readonly json: boolean },
  names: readonly string[],
  clock: Clock,
): Waiting {
  const open = new Set(names)
  const tell = () => {
    if (open.size === 0) return
    if (!json) io.stderr.write(`waiting for ${foldNames(names.filter((name) => open.has(name)))}\n`)
    stop = clock.start(againMs, tell)
  }
  let stop = clock.start(firstMs, tell)
  return {
    done: (name) => void open.delete(name),
    [Symbol.dispose]: () => stop(),
  }
}
