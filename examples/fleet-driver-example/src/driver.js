import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from 'fleet/driver'
import { openApi, usualEndpoint } from './api.js'

/** @typedef {import('fleet/driver').Call} Call */
/** @typedef {import('fleet/driver').HostRecord} HostRecord */
/** @typedef {import('fleet/driver').HostStatus} HostStatus */
/** @typedef {import('fleet/driver').HostSpec} HostSpec */
/** @typedef {import('fleet/driver').BootstrapData} BootstrapData */
/** @typedef {import('./api.js').Server} Server */
/** @typedef {{ zone: 'north' | 'south', size: 'small' | 'large', endpoint: string }} Options */

/** The user to log in as in the provider's images. */
const user = 'admin'

/** The time between two requests while the driver waits for a change, in milliseconds. */
const pause = 100

/** @typedef {ReturnType<typeof openApi>} Api */

/**
 * The server of a host. A server that fleet created is found by its token, not by its ID: the ID may not have been recorded
 * if fleet was killed, and it may be forged, because anybody who can change the inventory can write it.
 *
 * @param {Api} api
 * @param {{ id?: string | undefined, token?: string | undefined }} host
 */
async function findServer(api, { id, token }) {
  if (token !== undefined) return (await api.findServers('fleet:token', token))[0]
  return id === undefined ? undefined : api.server(id)
}

/** @param {Api} api @param {string} token */
const findKey = async (api, token) => (await api.findKeys('fleet:token', token))[0]

/**
 * Waits until a server is in `state`, and reports its current state while it waits.
 *
 * @param {Api} api
 * @param {string} id
 * @param {Server['state'] | 'absent'} state
 * @param {Call} call
 * @returns {Promise<Server | undefined>}
 */
async function waitFor(api, id, state, { signal, progress }) {
  for (;;) {
    const server = await api.server(id)
    const now = server?.state ?? 'absent'
    if (now === state) return server
    if (now === 'absent') throw new UserError('failed', `server ${id} is gone`)
    progress(`wait until the server is ${state}`, `it is ${now}`)
    await sleep(pause, undefined, { signal })
  }
}

/**
 * The driver of example-cloud. Credentials come from the environment, never from machines.yaml.
 *
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {import('fleet/driver').Driver<Options>}
 */
export function createDriver(env) {
  /** @param {string} endpoint @param {Call} call */
  const connect = (endpoint, { signal }) =>
    openApi({ endpoint, token: env['EXAMPLE_CLOUD_TOKEN'], signal })

  /**
   * Creates the resources that do not exist yet. Each one is first looked up by the token, because an earlier attempt may have
   * created it, and is recorded before the next one is created.
   *
   * @param {HostSpec} spec
   * @param {Options} options
   * @param {BootstrapData} data
   * @param {Call} call
   */
  async function make(spec, { endpoint, zone, size }, data, call) {
    call.signal.throwIfAborted()
    const { name, token, tags } = spec
    const api = connect(endpoint, call)
    let server = await findServer(api, { token })
    if (server === undefined) {
      call.progress('create the key')
      const { publicKey } = data
      const key = (await findKey(api, token)) ?? (await api.createKey({ publicKey, tags }))
      await data.record({ resources: { key: key.id } })
      call.progress('create the server')
      const userData = Buffer.from(data.userData).toString('base64')
      server = await api.createServer({ name, tags, zone, size, keyId: key.id, userData })
    }
    await data.record({ id: server.id, resources: { key: server.keyId } })
    const { id, address, port } = /** @type {Server} */ (
      await waitFor(api, server.id, 'running', call)
    )
    return { id, user, address, ...(port !== undefined && { port }) }
  }

  /**
   * @param {'start' | 'stop' | 'kill'} action
   * @param {'running' | 'stopped'} state
   * @returns {(host: HostRecord, call: Call) => Promise<void>}
   */
  const switchTo = (action, state) => async (host, call) => {
    const api = connect(endpointOf(host) ?? '', call)
    const server = await findServer(api, host)
    if (server === undefined) throw new UserError('failed', `server ${host.id} is gone`)
    if (server.state !== state) await api.act(server.id, action)
    await waitFor(api, server.id, state, call)
  }
  const start = switchTo('start', 'running')
  const stop = switchTo('stop', 'stopped')

  return {
    lifecycle: {
      async plan(spec, options, call) {
        const { endpoint, zone, size } = options
        const api = connect(endpoint, call)
        const existing = await findServer(api, { token: spec.token })
        const { zones } = await api.limits()
        if (existing === undefined && zones[zone]?.free === 0) {
          throw new UserError('usage', `example-cloud has no capacity in zone ${zone}`, {
            hint: 'choose another zone with --zone',
          })
        }
        return {
          user,
          resources: { endpoint }, // `remove` and `observe` get only the record
          userData: { maxBytes: 16_384, gzip: true },
          notes: [`a ${size} server in zone ${zone}`],
          exists: existing !== undefined,
          make: (data, call) => make(spec, options, data, call),
        }
      },

      async remove(host, call) {
        const { token } = host
        const endpoint = endpointOf(host)
        if (endpoint === undefined || token === undefined) return // nothing was created
        const api = connect(endpoint, call)
        const server = await findServer(api, { token })
        if (server !== undefined) {
          call.progress('remove the server')
          await api.removeServer(server.id)
          await waitFor(api, server.id, 'absent', call)
        }
        const key = await findKey(api, token)
        if (key !== undefined) await api.removeKey(key.id)
      },

      async list({ id, options }, call) {
        // The options are as in machines.yaml: the defaults of the schema are not filled in.
        const endpoints = new Set(
          options.map(({ endpoint }) => (typeof endpoint === 'string' ? endpoint : usualEndpoint)),
        )
        const found = await Promise.all(
          [...endpoints].map((endpoint) => listAt(endpoint, id, call)),
        )
        return found.flat()
      },
    },

    power: {
      start,
      stop,
      kill: switchTo('kill', 'stopped'),
      async restart(host, call) {
        await stop(host, call)
        await start(host, call)
      },
    },

    async observe(hosts, call) {
      const endpoints = new Set([...hosts.values()].flatMap((host) => endpointOf(host) ?? []))
      /** @type {Map<string, Server>} */
      const servers = new Map()
      for (const endpoint of endpoints) {
        const all = await connect(endpoint, call).allServers()
        for (const server of all) servers.set(server.id, server)
      }
      return new Map([...hosts].map(([name, { id = '' }]) => [name, statusOf(servers.get(id))]))
    },
  }

  /**
   * The hosts of a fleet at one endpoint: one for each token, even if only its key is left.
   *
   * @param {string} endpoint
   * @param {string} fleet
   * @param {Call} call
   */
  async function listAt(endpoint, fleet, call) {
    const api = connect(endpoint, call)
    const servers = await api.findServers('fleet:id', fleet)
    const keys = await api.findKeys('fleet:id', fleet)
    const tokens = new Map([...keys, ...servers].map(({ tags }) => [tags['fleet:token'], tags]))
    return [...tokens].map(([token, tags]) => {
      const server = servers.find((server) => server.tags['fleet:token'] === token)
      const key = keys.find((key) => key.tags['fleet:token'] === token)
      return {
        token,
        machine: tags['fleet:machine'] ?? '',
        record: {
          phase: /** @type {const} */ ('ready'),
          token,
          ...(server && { id: server.id }),
          resources: { endpoint },
        },
        parts: [
          ...(server ? [`server ${server.id} (${server.state})`] : []),
          ...(key ? [`key ${key.id}`] : []),
        ],
        tags,
      }
    })
  }
}

/** @param {HostRecord} host */
const endpointOf = ({ resources }) => resources?.['endpoint']

/** @param {Server | undefined} server @returns {HostStatus} */
const statusOf = (server) =>
  server === undefined
    ? { state: 'absent' }
    : { state: server.state, ...(server.address && { address: server.address }) }
