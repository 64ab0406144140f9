import { type HostRecord, type Machine } from '../../machine/machine.ts'
import { formatKnownHosts, formatSshConfig } from '../../machine/ssh-config-text.ts'
import type { ProxyCommand } from '../../transport/ssh/connect.ts'
import { findTunnel } from '../connect/find-tunnel.ts'
import type { Context } from '../context.ts'

/** The configuration that makes plain ssh connect to machines as fleet does. */
export interface SshClientConfig {
  /** The content of a configuration file in the format of ssh_config(5). */
  readonly config: string
  /** The content of a known_hosts file in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. */
  readonly knownHosts: string
  /**
   * Machines that plain ssh cannot connect to, either because their tunnel is not a ProxyCommand or because their jump
   * host is itself skipped.
   */
  readonly skipped: readonly string[]
}

/** A machine that can be exported to ssh. */
export type SshReachable = Machine & { readonly host: HostRecord & { readonly address: string } }

const isReachable = (machine: Machine): machine is SshReachable =>
  machine.host?.phase === 'ready' && machine.host.address !== undefined

/** The machines of the inventory that have an address. */
export async function listSshReachable(context: Context): Promise<readonly SshReachable[]> {
  const { machines } = await (await context.inventory()).read()
  return [...machines.values()].filter(isReachable)
}

const isUsable = (tunnel: ProxyCommand | undefined): boolean =>
  tunnel === undefined || !('argv' in tunnel) || tunnel.listens === undefined

/** Finds the machines that plain ssh can connect to, and their proxy commands. */
async function findRoutes(context: Context) {
  const all = await listSshReachable(context)
  const tunnels = new Map<string, ProxyCommand | undefined>()
  for (const machine of all) {
    tunnels.set(machine.name, await findTunnel(context, machine, machine.host))
  }
  const skipped = new Set<string>(
    all.map(({ name }) => name).filter((name) => !isUsable(tunnels.get(name))),
  )
  for (let before = -1; before < skipped.size;) {
    before = skipped.size
    for (const { name, via } of all) if (via !== undefined && skipped.has(via)) skipped.add(name)
  }
  return {
    reachable: all.filter(({ name }) => !skipped.has(name)),
    tunnels,
    skipped: [...skipped],
  }
}

/**
 * Describes every machine that has an address and that plain ssh can connect to. Each gets a second, globally unique
 * name, which is used for its host keys and as a jump host. Machines in `taken` get only the second name, because their
 * own names already refer to other hosts. Throws kind `inventory` for values that an SSH configuration cannot express.
 */
export async function describeForSsh(
  context: Context,
  knownHostsFile: string,
  taken: { has(name: string): boolean } = new Set(),
): Promise<SshClientConfig> {
  const { id } = await (await context.inventory()).read()
  const { reachable, tunnels, skipped } = await findRoutes(context)
  const names = new Set<string>(reachable.map(({ name }) => name))
  const aliasOf = (name: string) => `fleet.${id}.${name}`
  const blocks = await Promise.all(
    reachable.map(async (machine) => {
      const { name, via, host } = machine
      const tunnel = tunnels.get(name)
      const { address, user, port = 22, key } = host
      const alias = aliasOf(name)
      return {
        machine: name,
        names: taken.has(name) ? [alias] : [name, alias],
        ...{ address, port, user: user || undefined },
        identityFile: key === undefined ? undefined : await context.keys().find(key),
        proxyCommand: tunnel && 'argv' in tunnel ? tunnel.argv : undefined,
        jump: via !== undefined && names.has(via) ? aliasOf(via) : undefined,
        ...{ hostKeyAlias: alias, knownHostsFile },
      }
    }),
  )
  const keys = reachable.map(({ name, host }) => ({
    machine: name,
    alias: aliasOf(name),
    keys: host.hostKeys ?? [],
  }))
  return { config: formatSshConfig(blocks), knownHosts: formatKnownHosts(keys), skipped }
}
