import { type Answer, Refusal, type Request } from './exchange.ts'
import type { Operations } from './operations.ts'
import { page } from './pages.ts'
import { type Body, type Group, type Store, requireGroup, resourcesOf } from './store.ts'

const bodyOf = ({ id, name, location, tags, state }: Group) => ({
  id,
  name,
  type: 'Microsoft.Resources/resourceGroups',
  location,
  tags,
  properties: { provisioningState: state },
})

/** Parses `tagName eq 'a' and tagValue eq 'b'`, the filter of Resource Manager's lists. */
function matcher(request: Request): (tags: Readonly<Record<string, string>>) => boolean {
  const filter = request.query.get('$filter')
  if (filter === null) return () => true
  const [, name = '', value] = /^tagName eq '([^']*)' and tagValue eq '([^']*)'$/.exec(filter) ?? []
  if (value === undefined) throw new Refusal(400, 'InvalidFilterInQueryString', filter)
  return (tags) => tags[name] === value
}

function put(store: Store, name: string, request: Request): Answer {
  const { location, tags = {} } = JSON.parse(request.text) as {
    location: string
    tags?: Record<string, string>
  }
  const existing = store.groups.get(name.toLowerCase())
  if (existing?.state === 'Deleting') {
    throw new Refusal(
      409,
      'ResourceGroupBeingDeleted',
      `The resource group '${name}' is being deleted.`,
    )
  }
  if (existing !== undefined && existing.location !== location) {
    throw new Refusal(409, 'InvalidResourceGroupLocation', `'${name}' is in ${existing.location}.`)
  }
  const id = `/subscriptions/${store.subscription}/resourceGroups/${name}`
  const group: Group = { id, name, location, tags, state: 'Succeeded' }
  store.groups.set(name.toLowerCase(), group)
  return { status: existing === undefined ? 201 : 200, body: bodyOf(group) }
}

function remove(
  store: Store,
  operations: Operations,
  name: string,
  onRemoved: (body: Body) => Promise<void>,
): Answer {
  const group = requireGroup(store, name)
  group.state = 'Deleting'
  const { location } = operations.start(
    store.subscription,
    'Microsoft.Resources',
    200,
    async () => {
      const inside = `${group.id}/`.toLowerCase()
      for (const { body } of resourcesOf(store)) {
        if (!body.id.toLowerCase().startsWith(inside)) continue
        store.resources.delete(body.id.toLowerCase())
        await onRemoved(body)
      }
      store.groups.delete(name.toLowerCase())
    },
  )
  return { status: 202, headers: { location } }
}

/**
 * Returns a resource as it appears in Resource Manager's lists: without its properties, and, if the list is filtered by
 * a tag, without its tags (https://learn.microsoft.com/rest/api/resources/resources/list, `$filter`; azure-cli#3180,
 * #7674, azure-sdk-for-python#7956).
 */
const summary = ({ id, name, type, location, tags }: Body, isFiltered: boolean) => ({
  ...{ id, name, type, location },
  ...(!isFiltered && { tags }),
})

export interface GroupsContext {
  readonly store: Store
  readonly operations: Operations
  readonly pageSize: number
  readonly onRemoved: (body: Body) => Promise<void>
}

/** Answers requests for resource groups, and for lists of their contents. `path` is the part after the subscription. */
export function answerGroups(
  { store, operations, pageSize, onRemoved }: GroupsContext,
  request: Request,
  path: string,
): Answer | undefined {
  const { method } = request
  const list = (inGroup: string) =>
    resourcesOf(store)
      .map(({ body }) => body)
      .filter(({ id }) => id.toLowerCase().startsWith(inGroup))
      .filter(({ tags = {} }) => matcher(request)(tags))
      .map((body) => summary(body, request.query.has('$filter')))
  if (method === 'GET' && /^\/resources$/i.test(path)) return page(request, list(''), pageSize)
  if (method === 'GET' && /^\/resourceGroups$/i.test(path)) {
    const groups = [...store.groups.values()].filter(({ tags }) => matcher(request)(tags))
    return page(request, groups.map(bodyOf), pageSize)
  }
  const [, name, rest = ''] = /^\/resourceGroups\/([^/]+)(\/resources)?$/i.exec(path) ?? []
  if (name === undefined) return undefined
  if (rest !== '') {
    return page(request, list(`${requireGroup(store, name).id}/`.toLowerCase()), pageSize)
  }
  if (method === 'GET') return { status: 200, body: bodyOf(requireGroup(store, name)) }
  if (method === 'PUT') return put(store, name, request)
  if (method === 'DELETE') return remove(store, operations, name, onRemoved)
  return undefined
}
