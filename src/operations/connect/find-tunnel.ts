import { UserError } from '../../errors.ts'
import type { HostRecord, Machine } from '../../machine/machine.ts'
import type { ProxyCommand } from '../../transport/ssh/connect.ts'
import type { Drivers } from '../context.ts'

/** Whether a host is reached through a tunnel by its ID at the provider, so that its address does not matter. */
export const hasTunnel = ({ resources = {} }: Pick<HostRecord, 'resources'>): boolean =>
  resources['reach'] !== undefined

/**
 * The proxy command for connections to a host; undefined if fleet connects to its address. The driver builds the
 * command from values in machines.yaml, which it validates. Throws kind `inventory` for invalid values.
 */
export async function findTunnel(
  context: Pick<Drivers, 'driver'>,
  { name, driver, via }: Pick<Machine, 'name' | 'driver' | 'via'>,
  host: HostRecord,
): Promise<ProxyCommand | undefined> {
  if (!hasTunnel(host)) return undefined
  const tunnel = (await context.driver(driver)).tunnel?.(host)
  if (tunnel === undefined) return undefined
  checkNoJumpHost({ name, via }, host.resources)
  if (host.sshAlias !== undefined) throw hasAlias(name, host)
  return tunnel
}

const hasAlias = (name: string, { sshAlias, resources }: HostRecord): UserError =>
  new UserError(
    'inventory',
    `"host" in the entry for ${name} sets both "sshAlias: ${sshAlias}" and "reach: ${resources?.['reach']}", which cannot be combined`,
    { machine: name, hint: 'remove "sshAlias" or "reach" from the entry' },
  )

/** Throws kind `usage` if a host is configured to be reached both by a tunnel and through a jump host. */
export function checkNoJumpHost(
  { name, via }: Pick<Machine, 'name' | 'via'>,
  { reach }: Readonly<Record<string, string | undefined>> = {},
): void {
  if (via === undefined || reach === undefined) return
  throw new UserError(
    'usage',
    `${name} sets both "via: ${via}" and "reach: ${reach}", which cannot be combined`,
    { machine: name, hint: 'remove "via" or "reach" from the entry' },
  )
}
