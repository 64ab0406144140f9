import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { makeCertificates } from '../certificates.ts'
import type { Quotas } from './catalogue.ts'
import { type Answer, type Exchange, Refusal, type Request } from './exchange.ts'
import { type LoginHost, openLoginHost } from './login-host.ts'
import { keepOperations } from './operations.ts'
import { startProxy } from './proxy.ts'
import { type ResourceManagerContext, answerResourceManager } from './resource-manager.ts'
import { type Group, type Store, newStore, resourcesOf } from './store.ts'
import type { Computers } from './virtual-machines.ts'

const resourceManagers = [
  'management.azure.com',
  'management.chinacloudapi.cn',
  'management.usgovcloudapi.net',
]
const loginHosts = [
  'login.microsoftonline.com',
  'login.chinacloudapi.cn',
  'login.partner.microsoftonline.cn',
  'login.microsoftonline.us',
]
const callerAddressHost = 'checkip.amazonaws.com'

/** A fault of a call: with `reset`, the connection is reset; with `hang`, there is no response. */
export interface Fault {
  /** Whether the fault occurs before or after Azure executes the request. */
  readonly when: 'before' | 'after'
  readonly how: 'reset' | 'hang' | Answer
}

/** Called for each call to Azure; returns a fault to inject. */
export type OnCall = (operation: string, request: Request) => Fault | undefined

/** Options of the Azure test double. */
export interface AzureOptions {
  /** The hosts behind virtual machines; none by default. */
  readonly computers?: Computers
  readonly newPublicAddress?: () => Promise<string>
  readonly settleMs?: number
  readonly quotas?: Quotas
  readonly pageSize?: number
}

/** A test double of Azure on loopback. */
export interface AzureStandIn extends AsyncDisposable {
  /** Environment variables for a program: the proxy, the certificate authority, the login. */
  readonly env: Readonly<Record<string, string>>
  readonly ca: string
  readonly subscription: string
  readonly login: LoginHost
  readonly store: Store
  readonly registrations: Map<string, string>
  readonly exchanges: readonly Exchange[]
  /** The hosts that the proxy was asked to connect to. */
  readonly proxied: readonly string[]
  /** Returns the IDs of existing groups and resources. */
  remains(): readonly string[]
  /** Adds a resource group that fleet did not create. */
  addGroup(name: string): void
  /** Changes the public address of a virtual machine, as if it had been created again. */
  moveAddress(machine: string, address: string): void
  /** Removes all resources, and the groups that fleet created. */
  clear(): void
  /** Resolves when no operation is running. */
  idle(): Promise<void>
  onCall: OnCall | undefined
  /** Returns the error that allocating the virtual machine `name` fails with, if any. */
  allocation: (name: string) => Refusal | undefined
  retryAfter: string | undefined
  /** The resource groups that the login has its role on (default: the whole subscription). */
  onlyGroups: readonly string[] | undefined
  /** The supported api-versions (default: all). */
  knownVersions: readonly string[] | undefined
  quotas: Quotas
}

const noComputers: Computers = {
  async boot() {},
  async halt() {},
  async discard() {},
}

/** Returns a function that resolves to addresses reserved for documentation (RFC 5737). */
function documentationAddresses(): () => Promise<string> {
  let last = 0
  return async () => `203.0.113.${(last += 1)}`
}

const plentiful: Quotas = {
  cores: [0, 100],
  lowPriorityCores: [0, 10],
  virtualMachines: [0, 25_000],
  standardBasv2Family: [0, 10],
  standardDSv5Family: [0, 10],
  PublicIPAddresses: [0, 10],
}

/**
 * Returns the name of a request: `PUT Microsoft.Network/networkInterfaces`, `POST
 * Microsoft.Compute/virtualMachines/start`, `GET resourceGroup`, `GET resources` (of a group), `GET
 * subscription/resources`, `GET operation` (polls a running operation).
 */
export function operationOf({ method, host, path }: Request): string {
  if (!resourceManagers.includes(host)) return `${method} ${host}`
  if (/\/(?:operations|operationresults)\//.test(path)) return `${method} operation`
  const [, group, rest = ''] =
    /^\/subscriptions\/[^/]+(?:\/resourcegroups(?:\/([^/]+))?)?(\/.*)?$/i.exec(path) ?? []
  const parts = rest
    .replace(/^\/providers/, '')
    .split('/')
    .filter(Boolean)
  if (parts.length === 0) return `${method} resourceGroup`
  if (group === undefined) {
    return `${method} ${parts[0]?.startsWith('Microsoft.') ? '' : 'subscription/'}${parts.join('/')}`
  }
  // NAMESPACE/TYPE/NAME/ACTION, without the name
  return `${method} ${parts.filter((_, index) => index !== 2).join('/')}`
}

async function readRequest(message: IncomingMessage): Promise<Request> {
  const { method = '', url = '', headers } = message
  const host = headers.host ?? ''
  const { pathname, searchParams } = new URL(url, `https://${host}`)
  return {
    method,
    host,
    rawUrl: url,
    path: decodeURIComponent(pathname),
    query: searchParams,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, String(value)]),
    ),
    text: await text(message),
  }
}

function send(response: ServerResponse, { status, headers = {}, body }: Answer): void {
  const json = body === undefined ? '' : JSON.stringify(body)
  const type = body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }
  response.writeHead(status, { 'x-ms-request-id': randomUUID(), ...type, ...headers }).end(json)
}

/** Starts a test double of Azure. Its hosts are reached through the proxy in `env`, over TLS. */
export async function startAzure(options: AzureOptions = {}): Promise<AzureStandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'azure-'))
  const hosts = [...resourceManagers, ...loginHosts, callerAddressHost]
  const certificates = await makeCertificates(folder, hosts)
  const login = openLoginHost()
  const store = newStore(randomUUID())
  const computers = options.computers ?? noComputers
  const exchanges: Exchange[] = []
  const registrations = new Map([
    ['Microsoft.Compute', 'Registered'],
    ['Microsoft.Network', 'Registered'],
  ])
  const operations = keepOperations(
    () => options.settleMs ?? 15,
    () => standIn.retryAfter,
  )
  const context: ResourceManagerContext = {
    store,
    operations,
    computers,
    subscription: store.subscription,
    tokens: login.tokens,
    registrations,
    pageSize: options.pageSize ?? 2,
    newPublicAddress: options.newPublicAddress ?? documentationAddresses(),
    allocation: (name) => standIn.allocation(name),
    onRemoved: async ({ type, name }) => {
      if (type === 'Microsoft.Compute/virtualMachines') await computers.discard(name)
    },
    get quotas() {
      return standIn.quotas
    },
    get knownVersions() {
      return standIn.knownVersions
    },
    get onlyGroups() {
      return standIn.onlyGroups
    },
  }

  function answer(request: Request): Answer {
    if (request.host === callerAddressHost) return { status: 200, body: undefined }
    if (loginHosts.includes(request.host)) return login.answer(request)
    try {
      return answerResourceManager(context, request)
    } catch (error) {
      if (error instanceof Refusal) return error.answer
      throw error
    }
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(message)
    if (request.host === callerAddressHost) {
      response.end('198.51.100.7\n')
      return
    }
    const fault = standIn.onCall?.(operationOf(request), request)
    const answered =
      fault?.when === 'before' && typeof fault.how === 'object' ? fault.how : undefined
    if (fault?.when !== 'before') {
      const made = answer(request)
      exchanges.push({ request, answer: made })
      if (fault === undefined) return send(response, made)
    }
    if (fault?.how === 'reset') response.destroy()
    else if (fault !== undefined && typeof fault.how === 'object') {
      send(response, answered ?? fault.how)
    }
  }

  const server = createServer(
    { key: certificates.key, cert: certificates.cert },
    (message, response) => {
      serve(message, response).catch((error: unknown) => {
        console.error('the Azure stand-in failed:', error)
        response.destroy()
      })
    },
  )
  const proxy = await startProxy(hosts, server)
  const standIn: AzureStandIn = {
    env: {
      HTTPS_PROXY: proxy.url,
      NODE_EXTRA_CA_CERTS: certificates.caFile,
      AZURE_TENANT_ID: login.tenant,
      AZURE_CLIENT_ID: login.clientId,
      AZURE_CLIENT_SECRET: login.clientSecret,
      AZURE_SUBSCRIPTION_ID: store.subscription,
    },
    ca: certificates.ca,
    subscription: store.subscription,
    login,
    store,
    registrations,
    exchanges,
    proxied: proxy.asked,
    remains: () => [
      ...[...store.groups.values()].map(({ id }) => id),
      ...resourcesOf(store).map(({ body }) => body.id),
    ],
    addGroup(name) {
      const id = `/subscriptions/${store.subscription}/resourceGroups/${name}`
      const group: Group = { id, name, location: 'westeurope', tags: {}, state: 'Succeeded' }
      store.groups.set(name.toLowerCase(), group)
    },
    moveAddress(machine, address) {
      for (const resource of resourcesOf(store, 'Microsoft.Network/publicIPAddresses')) {
        const { body } = resource
        if (body.name !== `${machine}-ip`) continue
        resource.body = { ...body, properties: { ...body.properties, ipAddress: address } }
      }
    },
    clear() {
      store.resources.clear()
      for (const [key, { tags }] of store.groups) {
        if ('fleet:token' in tags) store.groups.delete(key)
      }
    },
    idle: () => operations.idle(),
    onCall: undefined,
    allocation: () => undefined,
    retryAfter: undefined,
    onlyGroups: undefined,
    knownVersions: undefined,
    quotas: options.quotas ?? plentiful,
    async [Symbol.asyncDispose]() {
      await operations.idle()
      await proxy[Symbol.asyncDispose]()
      server.closeAllConnections()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return standIn
}
