import { hostname, userInfo } from 'node:os'

/** What a host's tags tell of its making. */
export interface HostOrigin {
  /** ISO 8601; absent for hosts of the first versions of fleet. */
  readonly created?: string | undefined
  /** `user@computer` */
  readonly createdBy?: string | undefined
  /** Whether its entry said `protected` when it was made. */
  readonly protected: boolean
}

/** Providers take about 256 characters of these (EC2, "Tag restrictions"). */
const tagText = (text: string): string => text.replaceAll(/[^\w.@+:/=-]/g, '-').slice(0, 200)

/** Who runs fleet, and on which computer, as `user@computer`. */
export const currentOrigin = (isProtected: boolean): HostOrigin => ({
  created: new Date().toISOString(),
  createdBy: tagText(`${userInfo().username}@${hostname()}`),
  protected: isProtected,
})

/** The tags of all that is made for one host: by them it is found again, whatever the inventory remembers. */
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

/** What the tags of a host tell of its making. */
export function originIn(tags: Readonly<Record<string, string>> = {}): HostOrigin {
  const created = new Date(tags['fleet:created'] ?? '')
  return {
    ...(!Number.isNaN(created.getTime()) && { created: created.toISOString() }),
    ...(tags['fleet:created-by'] !== undefined && { createdBy: tags['fleet:created-by'] }),
    protected: tags['fleet:protected'] === 'true',
  }
}
