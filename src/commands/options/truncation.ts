import type { Io } from '../../ui/io.ts'
import { flag } from '../command.ts'

/** `--no-trunc`, as docker's own. */
export const noTruncOption = flag('--no-trunc', 'do not shorten ids and commands')

/** Which texts of a table are not shortened. */
export interface Truncation {
  readonly fullIds: boolean
  readonly fullCommands: boolean
}

/** Short ids are names that docker takes; a command cut short is of no use to a script. */
export const truncationOf = (io: Io, options: { readonly trunc: boolean }): Truncation => ({
  fullIds: !options.trunc,
  fullCommands: !options.trunc || !io.stdout.isTTY,
})
