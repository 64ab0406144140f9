import { Refusal } from './exchange.ts'

type Tags = Readonly<Record<string, string>>

/** The body of a resource in responses. */
export interface Body {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly location: string
  readonly tags?: Tags
  properties: Record<string, unknown>
  [more: string]: unknown
}

/** A resource and its state. */
export interface Resource {
  body: Body
  /** Whether an operation on the resource is running. */
  busy: boolean
  /** Values that are never returned. */
  readonly secrets: Record<string, unknown>
}

export interface Group {
  readonly id: string
  readonly name: string
  readonly location: string
  tags: Tags
  state: 'Succeeded' | 'Deleting'
}

/** The address of a resource, from its path. */
export interface Address {
  readonly subscription: string
  readonly group: string
  readonly namespace: string
  readonly type: string
  readonly name: string
  /** The part after the name, such as `start` or `instanceView`. */
  readonly action?: string | undefined
}

/** The resources of one subscription. Names are case-insensitive, as in Azure. */
export interface Store {
  readonly subscription: string
  readonly groups: Map<string, Group>
  readonly resources: Map<string, Resource>
}

export const newStore = (subscription: string): Store => ({
  subscription,
  groups: new Map(),
  resources: new Map(),
})

export const idOf = ({ subscription, group, namespace, type, name }: Address): string =>
  `/subscriptions/${subscription}/resourceGroups/${group}/providers/${namespace}/${type}/${name}`

export const findResource = (store: Store, id: string): Resource | undefined =>
  store.resources.get(id.toLowerCase())

/** Returns the resource. Throws Azure's error if there is none. */
export function requireResource(store: Store, address: Address): Resource {
  requireGroup(store, address.group)
  const found = findResource(store, idOf(address))
  if (found !== undefined) return found
  const { namespace, type, name, group } = address
  throw new Refusal(
    404,
    'ResourceNotFound',
    `The Resource '${namespace}/${type}/${name}' under resource group '${group}' was not found.`,
  )
}

export function requireGroup(store: Store, name: string): Group {
  const found = store.groups.get(name.toLowerCase())
  if (found !== undefined) return found
  throw new Refusal(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found.`)
}

/** Returns all resources of a type, or of all types. */
export const resourcesOf = (store: Store, type?: string): Resource[] =>
  [...store.resources.values()].filter(
    ({ body }) => type === undefined || body.type.toLowerCase() === type.toLowerCase(),
  )
