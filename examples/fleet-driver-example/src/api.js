import { UserError } from 'fleet/driver'

/**
 * @typedef {object} Server
 * @property {string} id
 * @property {string} name
 * @property {'starting' | 'running' | 'stopping' | 'stopped'} state
 * @property {string} [address] set while the server is running
 * @property {number} [port] SSH port, if it is not 22
 * @property {string} keyId
 * @property {Record<string, string>} tags
 */

/** @typedef {{ id: string, tags: Record<string, string> }} Key */

/** The default address of the API. */
export const usualEndpoint = 'http://127.0.0.1:4040'

/** The time limit of one request, in milliseconds. */
const patience = 30_000

/** @param {string} tag @param {string} value */
const tagged = (tag, value) => `?${new URLSearchParams({ tag, value })}`

/**
 * The parts of the provider's API that the driver uses. Every request is aborted with `signal`.
 *
 * @param {{ endpoint: string, token: string | undefined, signal: AbortSignal }} access
 */
export function openApi({ endpoint, token, signal }) {
  if (!token) {
    throw new UserError('credentials', 'example-cloud requires a token', {
      hint: 'set EXAMPLE_CLOUD_TOKEN',
    })
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} the response; undefined if the resource does not exist
   */
  async function ask(method, path, body) {
    const answer = await fetch(new URL(path, endpoint), {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((error) => {
      signal.throwIfAborted()
      const why = error.cause?.message ?? error.message
      throw new UserError('unreachable', `example-cloud at ${endpoint} does not answer: ${why}`, {
        hint: 'check the network, and --endpoint',
        cause: error,
      })
    })
    if (answer.status === 404) return undefined
    const text = await answer.text()
    if (answer.ok) return text === '' ? {} : JSON.parse(text)
    if (answer.status === 401) {
      throw new UserError('credentials', 'example-cloud rejected this token', {
        hint: 'set EXAMPLE_CLOUD_TOKEN to a valid one',
      })
    }
    const kind = answer.status === 422 ? 'usage' : 'failed'
    throw new UserError(kind, `example-cloud refused the request: ${text || answer.statusText}`)
  }

  return {
    /** @returns {Promise<{ zones: Record<string, { free: number }> }>} */
    limits: () => ask('GET', '/limits'),
    /** @param {string} tag @param {string} value @returns {Promise<Key[]>} */
    findKeys: (tag, value) => ask('GET', `/keys${tagged(tag, value)}`),
    /** @param {{ publicKey: string, tags: object }} wish @returns {Promise<Key>} */
    createKey: (wish) => ask('POST', '/keys', wish),
    /** @param {string} id */
    removeKey: (id) => ask('DELETE', `/keys/${encodeURIComponent(id)}`),
    /** @param {string} tag @param {string} value @returns {Promise<Server[]>} */
    findServers: (tag, value) => ask('GET', `/servers${tagged(tag, value)}`),
    /** @returns {Promise<Server[]>} */
    allServers: () => ask('GET', '/servers'),
    /** @param {string} id @returns {Promise<Server | undefined>} */
    server: (id) => ask('GET', `/servers/${encodeURIComponent(id)}`),
    /** @param {object} wish @returns {Promise<Server>} */
    createServer: (wish) => ask('POST', '/servers', wish),
    /** @param {string} id */
    removeServer: (id) => ask('DELETE', `/servers/${encodeURIComponent(id)}`),
    /** @param {string} id @param {'start' | 'stop' | 'kill'} action */
    act: (id, action) => ask('POST', `/servers/${encodeURIComponent(id)}/${action}`),
  }
}
