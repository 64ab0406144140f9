import { type CatalogueContext, answerCatalogue } from './catalogue.ts'
import { type Answer, Refusal, type Request } from './exchange.ts'
import { type GroupsContext, answerGroups } from './groups.ts'
import { answerNetwork } from './network-resources.ts'
import { page } from './pages.ts'
import { type Address, findResource, resourcesOf } from './store.ts'
import { type ComputeContext, answerDisk, answerMachine, statusOf } from './virtual-machines.ts'

export interface ResourceManagerContext extends ComputeContext, CatalogueContext, GroupsContext {
  readonly tokens: ReadonlySet<string>
  /** The groups that the login has its role on, if it has none on the subscription. */
  readonly onlyGroups: readonly string[] | undefined
  readonly knownVersions: readonly string[] | undefined
}

/**
 * Rejects an api-version that a national cloud does not support yet, with the messages of
 * azure-cli#30847 and #18541.
 */
function checkVersion(
  { knownVersions }: ResourceManagerContext,
  version: string,
  path: string,
): void {
  if (knownVersions === undefined || knownVersions.includes(version)) return
  const type = /\/providers\/[^/]+\/([^/]+)/i.exec(path)?.[1]
  const list = knownVersions.join(', ')
  throw type === undefined
    ? new Refusal(
        400,
        'InvalidApiVersionParameter',
        `The api-version '${version}' is invalid. The supported versions are '${list}'.`,
      )
    : new Refusal(
        400,
        'NoRegisteredProviderFound',
        `No registered resource provider found for location 'chinanorth3' and API version '${version}' for type '${type}'. The supported api-versions are '${list}'. The supported locations are 'chinaeast2, chinanorth3'.`,
      )
}

const networkTypes = new Map(
  [
    ...['networkInterfaces', 'publicIPAddresses', 'networkSecurityGroups', 'virtualNetworks'],
    ...['bastionHosts', 'applicationSecurityGroups'],
  ].map((type) => [type.toLowerCase(), type]),
)

function authorize({ tokens }: ResourceManagerContext, { headers }: Request): void {
  const token = /^Bearer (.+)$/.exec(headers['authorization'] ?? '')?.[1]
  if (token !== undefined && tokens.has(token)) return
  const code = token === undefined ? 'AuthenticationFailed' : 'InvalidAuthenticationToken'
  throw new Refusal(401, code, 'The access token is invalid.')
}

/** Requests for properties of the subscription, as opposed to lists of its contents. */
const subscriptionReads: readonly (readonly [RegExp, string])[] = [
  [/^\/providers\/[^/]+$/i, 'Microsoft.Resources/subscriptions/providers/read'],
  [
    /^\/providers\/[^/]+\/register$/i,
    'Microsoft.Resources/subscriptions/providers/register/action',
  ],
  [/\/skus$/i, 'Microsoft.Compute/skus/read'],
  [/\/usages$/i, 'Microsoft.Compute/locations/usages/read'],
  [
    /\/publishers\//i,
    'Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read',
  ],
]

const groupOf = (id: string): string =>
  (/\/resourceGroups\/([^/]+)/i.exec(id)?.[1] ?? '').toLowerCase()

/**
 * Applies a role that is only on resource groups: lists of the subscription contain only these groups, and other
 * requests for the subscription are rejected (terraform-provider-azurerm#2678, #26667;
 * https://learn.microsoft.com/azure/role-based-access-control/scope-overview).
 */
function limit(context: ResourceManagerContext, path: string): ResourceManagerContext {
  const { onlyGroups, store } = context
  if (onlyGroups === undefined) return context
  const groups = new Set(onlyGroups.map((name) => name.toLowerCase()))
  const asked = groupOf(path)
  if (groups.has(asked)) return context
  const action =
    asked === ''
      ? subscriptionReads.find(([pattern]) => pattern.test(path))?.[1]
      : 'Microsoft.Resources/subscriptions/resourceGroups/write'
  if (action !== undefined) {
    const scope = `/subscriptions/${store.subscription}${asked && `/resourcegroups/${asked}`}`
    throw new Refusal(
      403,
      'AuthorizationFailed',
      `The client 'c' with object id 'o' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
    )
  }
  const seen = {
    ...store,
    groups: new Map([...store.groups].filter(([name]) => groups.has(name))),
    resources: new Map([...store.resources].filter(([id]) => groups.has(groupOf(id)))),
  }
  return { ...context, store: seen }
}

/** Parses `/resourceGroups/G/providers/N/T/NAME[/ACTION]`, the part after the subscription. */
function parseAddress(subscription: string, path: string): Address | undefined {
  const found =
    /^\/resourceGroups\/([^/]+)\/providers\/([^/]+)\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/i.exec(path)
  if (found === null) return undefined
  const [, group = '', namespace = '', type = '', name = '', action] = found
  return {
    subscription,
    group,
    namespace,
    type: networkTypes.get(type.toLowerCase()) ?? type,
    name,
    action,
  }
}

function answerResource(
  context: ResourceManagerContext,
  request: Request,
  path: string,
): Answer | undefined {
  const address = parseAddress(context.subscription, path)
  if (address === undefined) return undefined
  const { namespace, type } = address
  if (context.registrations.get(namespace) !== 'Registered') {
    throw new Refusal(
      409,
      'MissingSubscriptionRegistration',
      `The subscription is not registered to use namespace '${namespace}'.`,
    )
  }
  if (type.toLowerCase() === 'virtualmachines') return answerMachine(context, address, request)
  if (type.toLowerCase() === 'disks') return answerDisk(context, address, request)
  return networkTypes.has(type.toLowerCase()) ? answerNetwork(context, address, request) : undefined
}

/** Merges or deletes tags of any resource, key by key. */
function answerTags(
  { store, subscription }: ResourceManagerContext,
  request: Request,
): Answer | undefined {
  const [, scope] =
    /^(.*)\/providers\/Microsoft\.Resources\/tags\/default$/i.exec(request.path) ?? []
  if (scope === undefined || request.method !== 'PATCH') return undefined
  const { operation, properties } = JSON.parse(request.text) as {
    operation: 'Merge' | 'Delete'
    properties: { tags: Record<string, string> }
  }
  const group = /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)$/i.exec(scope)?.[1]
  const bearer =
    group === undefined ? findResource(store, scope)?.body : store.groups.get(group.toLowerCase())
  if (bearer === undefined) throw new Refusal(404, 'ResourceNotFound', `${scope} was not found.`)
  const now = bearer.tags ?? {}
  const tags =
    operation === 'Merge'
      ? { ...now, ...properties.tags }
      : Object.fromEntries(
          Object.entries(now).filter(([key, value]) => properties.tags[key] !== value),
        )
  Object.assign(bearer, { tags })
  const id = `/subscriptions/${subscription}/providers/Microsoft.Resources/tags/default`
  const type = 'Microsoft.Resources/tags'
  return { status: 200, body: { id, name: 'default', type, properties: { tags } } }
}

/** Answers requests for lists of the whole subscription. */
function answerLists(
  { store, pageSize }: ResourceManagerContext,
  request: Request,
  path: string,
): Answer | undefined {
  const [, type] = /^\/providers\/([^/]+\/[^/]+)$/.exec(path) ?? []
  if (request.method !== 'GET' || type === undefined) return undefined
  const isStatusOnly = request.query.get('statusOnly') === 'true'
  const found = resourcesOf(store, type).map((resource) =>
    isStatusOnly ? statusOf(resource) : resource.body,
  )
  return page(request, found, pageSize)
}

/** Answers requests as Azure Resource Manager does for one subscription. Throws {@link Refusal}s. */
export function answerResourceManager(context: ResourceManagerContext, request: Request): Answer {
  authorize(context, request)
  const { operations, subscription } = context
  const [, asked = '', path = ''] = /^\/subscriptions\/([^/]+)(.*)$/i.exec(request.path) ?? []
  if (asked !== subscription) {
    throw new Refusal(
      404,
      'SubscriptionNotFound',
      `The subscription '${asked}' could not be found.`,
    )
  }
  const polled = operations.answer(request)
  if (polled !== undefined) return polled
  if (!/^\d{4}-\d{2}-\d{2}$/.test(request.query.get('api-version') ?? '')) {
    throw new Refusal(
      400,
      'MissingApiVersionParameter',
      'The api-version query parameter is required.',
    )
  }
  checkVersion(context, request.query.get('api-version') ?? '', path)
  const seen = limit(context, path)
  const answer =
    answerTags(seen, request) ??
    answerResource(seen, request, path) ??
    answerGroups(seen, request, path) ??
    answerCatalogue(seen, request, path) ??
    answerLists(seen, request, path)
  if (answer !== undefined) return answer
  throw new Refusal(
    404,
    'InvalidResourceType',
    `The stand-in knows no ${request.method} ${request.path}.`,
  )
}
