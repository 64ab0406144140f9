import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'

/** The creation time and the creator of a host, from its tags. */
export interface HostOrigin {
  /** The creation time in ISO 8601; absent for hosts that early versions of fleet created. */
  readonly created?: string | undefined
  /** The creator, `user@computer`. */
  readonly createdBy?: string | undefined
  /** Whether the entry was `protected` when the host was created. */
  readonly protected: boolean
}

/** Providers limit tag values to about 256 characters from this set (EC2, "Tag restrictions"). */
const tagText = (text: string): string => text.replaceAll(/[^\w.@+:/=-]/g, '-').slice(0, 200)

/** The origin of a host that this user is creating now on this computer. */
export const currentOrigin = (isProtected: boolean): HostOrigin => ({
  created: new Date().toISOString(),
  createdBy: tagText(`${userInfo().username}@${hostname()}`),
  protected: isProtected,
})

/** The tags of all resources of one host. They identify the resources even if the inventory is lost. */
export const hostTags = (
  fleet: string,
  machine: string,
  token: string,
  origin: HostOrigin,
): Readonly<Record<string, string>> => ({
  fleet: 'true',
  'fleet:id': fleet,
  'fleet:machine': machine,
  'fleet:token': token,
  ...(origin.created !== undefined && { 'fleet:created': origin.created }),
  ...(origin.createdBy !== undefined && { 'fleet:created-by': origin.createdBy }),
  ...(origin.protected && { 'fleet:protected': 'true' }),
})

/**
 * The tags for resources that several hosts share, such as the firewall rules of a swarm. The token is new: it
 * identifies the resources that one call creates, and does not belong to any host.
 */
export function swarmTags(
  fleet: string,
  swarm: string,
  { created, createdBy }: HostOrigin,
): Readonly<Record<string, string>> {
  return {
    ...{ fleet: 'true', 'fleet:id': fleet, 'fleet:swarm': swarm, 'fleet:token': randomUUID() },
    ...(created !== undefined && { 'fleet:created': created }),
    ...(createdBy !== undefined && { 'fleet:created-by': createdBy }),
  }
}

/** Reads the origin of a host from its tags. */
export function originIn(tags: Readonly<Record<string, string>> = {}): HostOrigin {
  const created = new Date(tags['fleet:created'] ?? '')
  return {
    ...(!Number.isNaN(created.getTime()) && { created: created.toISOString() }),
    ...(tags['fleet:created-by'] !== undefined && { createdBy: tags['fleet:created-by'] }),
    protected: tags['fleet:protected'] === 'true',
  }
}
