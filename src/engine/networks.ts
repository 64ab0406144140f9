import {
  type Read,
  flag,
  id,
  list,
  listOrNull,
  nothing,
  object,
  optional,
  record,
  text,
  whole,
  withDefault,
} from './answer.ts'
import type { Filters } from './containers.ts'
import type { Engine } from './engine.ts'

/** A network in a list (NetworkList). */
export interface NetworkSummary {
  readonly Id: string
  readonly Name: string
  /** RFC 3339. */
  readonly Created?: string | undefined
  /** `local`, `global` or `swarm`. */
  readonly Scope: string
  readonly Driver: string
  readonly Internal: boolean
  readonly IPAM: { readonly Config: readonly { readonly Subnet?: string | undefined }[] }
  readonly Labels: Readonly<Record<string, string>>
}

const readNetwork: Read<NetworkSummary> = object<NetworkSummary>({
  Id: id,
  Name: text,
  Created: optional(text),
  Scope: withDefault(text, ''),
  Driver: withDefault(text, ''),
  Internal: withDefault(flag, false),
  IPAM: withDefault(
    object<NetworkSummary['IPAM']>({
      Config: listOrNull(
        object<{ readonly Subnet?: string | undefined }>({ Subnet: optional(text) }),
      ),
    }),
    { Config: [] },
  ),
  Labels: withDefault(record(text), {}),
})

/** Lists the networks of an engine, sorted by name. */
export async function listNetworks(
  engine: Engine,
  { signal, ...query }: { readonly filters?: Filters; readonly signal?: AbortSignal } = {},
): Promise<readonly NetworkSummary[]> {
  const request = { path: '/networks', query, ...(signal && { signal }) }
  const networks = await engine.json(request, list(readNetwork))
  return networks.toSorted((a, b) => (a.Name === b.Name ? 0 : a.Name < b.Name ? -1 : 1))
}

const networkPath = (name: string): string => `/networks/${encodeURIComponent(name)}`

/** Inspects a network by name or ID (NetworkInspect). */
export const inspectNetwork = (
  engine: Engine,
  name: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> =>
  engine.json({ path: networkPath(name), ...(signal && { signal }) }, whole({ Id: id, Name: text }))

/** Removes a network by name or ID. */
export const removeNetwork = (
  engine: Engine,
  name: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> => engine.json({ method: 'DELETE', path: networkPath(name), signal }, nothing)
