import type { Io } from '../../ui/io.ts'
import { flag } from '../command.ts'

/** `--no-trunc`, as in docker. */
export const noTruncOption = flag('--no-trunc', 'do not truncate IDs or commands')

/** The texts of a table that are printed in full. */
export interface Truncation {
  readonly fullIds: boolean
  readonly fullCommands: boolean
}

/**
 * Commands are shortened only on a terminal: docker accepts short IDs, but a script cannot use a shortened
 * command.
 */
export const truncationOf = (io: Io, options: { readonly trunc: boolean }): Truncation => ({
  fullIds: !options.trunc,
  fullCommands: !options.trunc || !io.stdout.isTTY,
})
