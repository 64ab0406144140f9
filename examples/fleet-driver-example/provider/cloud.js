// example-cloud: a provider that is small enough to read, and behaves like a large one. Servers take time to start, stop
// and disappear, and every request to create a resource creates another one.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

/** @typedef {import('../src/api.js').Server & { zone: string, size: string }} Server */
/** @typedef {import('../src/api.js').Key} Key */

/**
 * @typedef {object} CloudOptions
 * @property {string} token the token that every request must present
 * @property {number} [port] port on 127.0.0.1 (default: a free one)
 * @property {number} [delay] duration of each change of a server, in milliseconds (default: 1,000)
 * @property {(server: Server, userData: Buffer) => Promise<{ address: string, port?: number }>} [boot]
 *   starts a host for a server (default: none, with an address where nothing answers)
 */

const zones = ['north', 'south']
const serversPerZone = 20

class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/** @template T @param {Map<string, T>} things @param {string} id @returns {T} */
function get(things, id) {
  const thing = things.get(id)
  if (thing === undefined) throw new Refusal(404, `${id} does not exist`)
  return thing
}

/** @template {{ tags: Record<string, string> }} T @param {Map<string, T>} things @param {URLSearchParams} query */
function list(things, query) {
  const [tag, value] = [query.get('tag'), query.get('value')]
  return [...things.values()].filter(({ tags }) => tag === null || tags[tag] === value)
}

/** @param {Server} server */
function halt(server) {
  server.state = 'stopped'
  delete server.address
  delete server.port
}

/**
 * Starts the provider.
 *
 * @param {CloudOptions} options
 */
export async function startCloud({
  token,
  port = 0,
  delay = 1000,
  boot = async () => ({ address: '192.0.2.1' }),
}) {
  /** @type {Map<string, Server>} */
  const servers = new Map()
  /** @type {Map<string, Key>} */
  const keys = new Map()
  /** @type {Set<NodeJS.Timeout>} */
  const timers = new Set()

  /** @param {() => unknown} change */
  function later(change) {
    const timer = setTimeout(() => {
      timers.delete(timer)
      change()
    }, delay)
    timers.add(timer)
  }

  /** @param {Server} server @param {Buffer} userData */
  function start(server, userData) {
    server.state = 'starting'
    later(async () => {
      Object.assign(server, await boot(server, userData))
      server.state = 'running'
    })
  }

  /** @param {Server} server @param {() => unknown} then */
  function stop(server, then) {
    server.state = 'stopping'
    later(then)
  }

  const limits = () => ({
    zones: Object.fromEntries(
      zones.map((zone) => {
        const used = [...servers.values()].filter((server) => server.zone === zone).length
        return [zone, { free: serversPerZone - used }]
      }),
    ),
  })

  /** @type {Record<string, (id: string, body: any, query: URLSearchParams) => unknown>} */
  const routes = {
    'GET limits': limits,
    'GET keys': (_id, _body, query) => list(keys, query),
    'POST keys': (_id, { tags }) => {
      const key = { id: `key-${randomBytes(4).toString('hex')}`, tags }
      keys.set(key.id, key)
      return key
    },
    'DELETE keys': (id) => {
      get(keys, id)
      const user = [...servers.values()].find(({ keyId }) => keyId === id)
      if (user !== undefined) throw new Refusal(409, `${id} is used by ${user.id}`)
      keys.delete(id)
    },
    'GET servers': (id, _body, query) => (id === '' ? list(servers, query) : get(servers, id)),
    'POST servers': (_id, { name, tags, zone, size, keyId, userData }) => {
      if (!zones.includes(zone)) throw new Refusal(422, `zone ${zone} does not exist`)
      if (limits().zones[zone]?.free === 0) throw new Refusal(422, `no capacity in zone ${zone}`)
      get(keys, keyId)
      const id = `srv-${randomBytes(4).toString('hex')}`
      /** @type {Server} */
      const server = { id, name, tags, zone, size, keyId, state: 'starting' }
      servers.set(id, server)
      start(server, Buffer.from(userData, 'base64'))
      return server
    },
    'DELETE servers': (id) => stop(get(servers, id), () => servers.delete(id)),
    'POST servers start': (id) => {
      const server = get(servers, id)
      if (server.state === 'stopped') start(server, Buffer.alloc(0))
    },
    'POST servers stop': (id) => {
      const server = get(servers, id)
      if (server.state !== 'stopped') stop(server, () => halt(server))
    },
    'POST servers kill': (id) => halt(get(servers, id)),
  }

  const expected = Buffer.from(`Bearer ${token}`)
  /** @param {string | undefined} header */
  function isAllowed(header) {
    const given = Buffer.from(header ?? '')
    return given.length === expected.length && timingSafeEqual(given, expected)
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async function answer(request, response) {
    try {
      if (!isAllowed(request.headers.authorization))
        throw new Refusal(401, 'the token is missing or invalid')
      const url = new URL(request.url ?? '/', 'http://cloud')
      const [, kind = '', id = '', action] = url.pathname.split('/')
      const route = routes[[request.method, kind, action].filter(Boolean).join(' ')]
      if (route === undefined) throw new Refusal(404, 'not found')
      const body = await text(request)
      const result = await route(id, body === '' ? {} : JSON.parse(body), url.searchParams)
      response.end(JSON.stringify(result ?? {}))
    } catch (error) {
      response.statusCode = error instanceof Refusal ? error.status : 500
      response.end(error instanceof Error ? error.message : String(error))
    }
  }

  const http = createServer((request, response) => void answer(request, response))
  http.listen(port, '127.0.0.1')
  await once(http, 'listening')
  const address = /** @type {import('node:net').AddressInfo} */ (http.address())

  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    /** All existing resources, as the provider's console would list them. */
    things: () => [...servers.values(), ...keys.values()],
    close() {
      for (const timer of timers) clearTimeout(timer)
      http.closeAllConnections()
      http.close()
    },
  }
}
