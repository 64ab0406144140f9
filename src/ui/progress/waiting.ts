import { allMachines, foldNames } from '../fold-names.ts'
import type { Io } from '../io.ts'

/** The delay before the first report, and the time between later reports, in milliseconds. */
const firstMs = 3000
const againMs = 10_000

/** The maximum number of machines that are always listed by name. */
const listedNames = 5

/** Reports which machines have not answered yet. */
export interface Waiting extends Disposable {
  /** Called when the machine has answered. */
  done(name: string): void
}

/** Runs timers that pause while a question is open. */
interface Clock {
  start(ms: number, expire: () => void): () => void
}

/** Reports the machines that have not answered yet, from time to time, until the result is disposed. */
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
