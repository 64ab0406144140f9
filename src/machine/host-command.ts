import type { Machine } from './machine.ts'

/**
 * Returns a command line, for use in a hint, that runs `command` on a machine, with sudo if `sudo` is set. Values in
 * `command` must be quoted for both shells with `quoteForHost`.
 */
export const hostCommand = (
  machine: string,
  command: string,
  { sudo = false }: { readonly sudo?: boolean } = {},
): string => `fleet ssh ${machine} -- ${sudo ? 'sudo ' : ''}${command}`

/** Returns a command line, for use in a hint, that shows the end of the engine's log. */
export const engineLogCommand = ({ name, host }: Pick<Machine, 'name' | 'host'>): string =>
  hostCommand(name, 'journalctl -u docker -n 50', { sudo: host?.user !== 'root' })
