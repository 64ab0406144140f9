import type { MachineState, Selector } from '../../../machine/selector.ts'
import { parseSelector, selects } from '../../../machine/selector.ts'
import type { Machine } from '../../../machine/machine.ts'

/** The properties of a row that a filter uses. */
interface Filterable {
  /** The machine of the row; undefined if the row concerns several machines. */
  readonly machine: Machine | undefined
  /** The state of the item in the row, and the state of its machine. */
  readonly state: string
  readonly machineState: string
  /** The text of the row. */
  readonly text: () => string
}

/**
 * Whether a word is a term of the selector language: it contains a key or a glob, or it excludes machines. All other
 * words are searched for in the row.
 */
const isSelector = (word: string): boolean => /[=*?]|^!|^all$/.test(word)

const stateTerm = /^state(!?)=(.+)$/

/**
 * Parses a filter, whose words must all match. Words such as `role=web` and `!web-*` select machines as `--on` does,
 * `state=exited` matches the state of the row or of its machine, and all other words are searched for in the text of
 * the row. A selector that is incomplete because it is still being typed matches everything.
 */
export function parseFilter(filter: string): (row: Filterable) => boolean {
  const words = filter.split(/\s+/).filter((word) => word !== '')
  const texts = words.filter((word) => !isSelector(word)).map((word) => word.toLowerCase())
  const states = words.flatMap((word) => {
    const [, not, state] = stateTerm.exec(word) ?? []
    return state === undefined ? [] : [{ not: not !== '', values: state.split(',') }]
  })
  const typed = words.filter((word) => isSelector(word) && !stateTerm.test(word))
  let selector: Selector | undefined
  try {
    selector = typed.length === 0 ? undefined : parseSelector(typed)
  } catch {
    selector = undefined
  }
  return ({ machine, state, machineState, text }) => {
    const hasStates = states.every(
      ({ not, values }) =>
        values.some((value) => value === state || value === machineState) !== not,
    )
    if (!hasStates) return false
    if (selector !== undefined) {
      if (machine === undefined) return false
      if (!selects(selector, machine, machineState as MachineState)) return false
    }
    if (texts.length === 0) return true
    const searched = text().toLowerCase()
    return texts.every((one) => searched.includes(one))
  }
}
