import { allMachines, foldNames } from '../fold-names.ts'
import type { Io } from '../io.ts'

/** When it is first reported which machines have not answered, and how often after that, in milliseconds. */
const firstMs = 3000
const againMs = 10_000

/** All machines are listed by name up to this many. */
const listedNames = 5

/** Reports which machines have not answered yet. */
export interface Waiting extends Disposable {
  /** The machine has answered. */
  done(name: string): void
}

/** Runs timers, which stand still while a question is open. */
interface Clock {
  start(ms: number, expire: () => void): () => void
}

/** Begins to report machines that have not answered. Disposed, it stops. */
export function reportUnanswered(
  io: Io,
  { json }: { readonly json: boolean },
  names: readonly string[],
  clock: Clock,
): Waiting {
  const open = new Set(names)
  const report = () => {
    if (open.size === 0) return
    const isAll = open.size === names.length && names.length > listedNames
    const who = isAll
      ? allMachines(names.length)
      : foldNames(names.filter((name) => open.has(name)))
    if (!json) io.stderr.write(`waiting for ${who}\n`)
    stop = clock.start(againMs, report)
  }
  let stop = clock.start(firstMs, report)
  return {
    done: (name) => void open.delete(name),
    [Symbol.dispose]: () => stop(),
  }
}
