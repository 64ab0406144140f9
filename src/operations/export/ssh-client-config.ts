import { type HostRecord, type Machine } from '../../machine/machine.ts'
import { formatKnownHosts, formatSshConfig } from '../../machine/ssh-config-text.ts'
import type { Context } from '../context.ts'

/** What plain ssh needs to reach machines as fleet does. */
export interface SshClientConfig {
  /** ssh_config(5) */
  readonly config: string
  /** sshd(8), SSH_KNOWN_HOSTS FILE FORMAT */
  readonly knownHosts: string
}

/** A machine that ssh can be told of. */
export type SshReachable = Machine & { readonly host: HostRecord & { readonly address: string } }

const isReachable = (machine: Machine): machine is SshReachable =>
  machine.host?.phase === 'ready' && machine.host.address !== undefined

/** The machines of the inventory that have an address. */
export async function listSshReachable(context: Context): Promise<readonly SshReachable[]> {
  const { machines } = await (await context.inventory()).read()
  return [...machines.values()].filter(isReachable)
}

/**
 * Describes every machine that has an address. Each has a second name that no other host and no machine of another
 * inventory has: its host keys and jump hosts go by that. `taken` are machines whose own names mean other hosts to this
 * person, so that only the second name is given. Throws kind `inventory` on what ssh's configuration cannot hold.
 */
export async function describeForSsh(
  context: Context,
  knownHostsFile: string,
  taken: { has(name: string): boolean } = new Set(),
): Promise<SshClientConfig> {
  const { id } = await (await context.inventory()).read()
  const reachable = await listSshReachable(context)
  const names = new Set<string>(reachable.map(({ name }) => name))
  const aliasOf = (name: string) => `fleet.${id}.${name}`
  const blocks = await Promise.all(
    reachable.map(async ({ name, via, host }) => {
      const { address, user, port = 22, key } = host
      const alias = aliasOf(name)
      return {
        machine: name,
        names: taken.has(name) ? [alias] : [name, alias],
        ...{ address, port, user: user || undefined },
        identityFile: key === undefined ? undefined : await context.keys().find(key),
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
  return { config: formatSshConfig(blocks), knownHosts: formatKnownHosts(keys) }
}
