/**
 * A command line for a hint, which runs `command` on a machine, as root if `sudo`. Quote the values in it for both shells:
 * quoteForHost.
 */
export const hostCommand = (
  machine: string,
  command: string,
  { sudo = false }: { readonly sudo?: boolean } = {},
): string => `fleet ssh ${machine} -- ${sudo ? 'sudo ' : ''}${command}`
