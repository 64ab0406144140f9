import type { Io } from '../../ui/io.ts'
import { flag } from '../command.ts'

/** `--no-trunc`, as in docker. */
export const noTruncOption = flag('--no-trunc', 'do not truncate IDs or commands')

/** Which texts of a table are printed in full. */
export interface Truncation {
  readonly fullIds: boolean
  readonly fullCommands: boolean
}

/**
 * Commands are shortened only on a terminal: docker accepts short IDs, but a shortened command would be useless to a
 * script.
 */
export const truncationOf = (io: Io, options: { readonly trunc: boolean }): Truncation => ({
  fullIds: !options.trunc,
  fullCommands: !options.trunc || !io.stdout.isTTY,
})
