import { type HostRecord, type Machine } from '../machine/machine.ts'
import type { Context } from './context.ts'

/** What plain ssh needs to reach machines as fleet does. */
export interface SshClientConfig {
  /** ssh_config(5) */
  readonly config: string
  /** sshd(8), SSH_KNOWN_HOSTS FILE FORMAT */
  readonly knownHosts: string
}

type Reachable = Machine & { readonly host: HostRecord & { readonly address: string } }

const isReachable = (machine: Machine): machine is Reachable =>
  machine.host?.phase === 'ready' && machine.host.address !== undefined

/** A value with spaces stands in quotes; ssh knows no other escape there. */
const quoted = (value: string): string => (/\s/.test(value) ? `"${value}"` : value)

/**
 * Describes every machine that has an address: host keys go under a name of fleet's own, so that a changed address
 * changes nothing and the same machine name in another inventory is another host.
 */
export async function describeForSsh(
  context: Context,
  knownHostsFile: string,
): Promise<SshClientConfig> {
  const { id, machines } = await (await context.inventory()).read()
  const reachable = [...machines.values()].filter(isReachable)
  const names = new Set<string>(reachable.map(({ name }) => name))
  const aliasOf = ({ name }: Machine) => `fleet.${id}.${name}`
  const blocks = await Promise.all(
    reachable.map(async (machine) => {
      const { address, user, port = 22, key } = machine.host
      const identity = key === undefined ? undefined : await context.keys().find(key)
      const jump = machine.via !== undefined && names.has(machine.via) ? machine.via : undefined
      const lines: readonly (readonly [string, string | number | undefined])[] = [
        ['HostName', address],
        ['Port', port],
        ['User', user],
        ['IdentityFile', identity && quoted(identity)],
        ['ProxyJump', jump],
        ['HostKeyAlias', aliasOf(machine)],
        ['UserKnownHostsFile', quoted(knownHostsFile)],
        ['StrictHostKeyChecking', 'yes'],
      ]
      const told = lines.filter(([, value]) => value !== undefined && value !== '')
      return [
        `Host ${machine.name}`,
        ...told.map(([name, value]) => `  ${name} ${value}`),
        '',
      ].join('\n')
    }),
  )
  const keys = reachable.flatMap((machine) =>
    (machine.host.hostKeys ?? []).map((key) => `${aliasOf(machine)} ${key}\n`),
  )
  return { config: blocks.join('\n'), knownHosts: keys.join('') }
}
