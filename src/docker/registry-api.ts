import { readFile, readdir } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { UserError, codeOf, messageOf } from '../errors.ts'
import type { Environment } from '../os/environment.ts'
import { httpRequest, readText } from '../os/http-request.ts'
import { proxyAgent } from '../os/proxy.ts'
import { shellQuote } from '../os/shell-quote.ts'
import { trace } from '../os/trace.ts'
import { dockerHub } from './image-reference.ts'
import { type Login, configFolder, findLogin } from './registry-logins.ts'

/** Options for connecting to a registry. */
export interface RegistryAccess {
  /** The environment variables that locate the Docker configuration and its credential helpers. */
  readonly env: Environment
  /** Whether to accept any certificate, and plain HTTP. */
  readonly insecure: boolean
  /** Additional certificates to trust, in PEM format. */
  readonly ca?: string | undefined
  readonly signal: AbortSignal
}

/** How long to wait for data from a registry, in milliseconds. */
const idleTimeoutMs = 30_000
/** Maximum length of a response, in bytes. A page of 1000 names is about 100 kB. */
const longestResponse = 1 << 22
/** The maximum number of names in a list. A longer list is an error. */
const maxNames = 200_000
/** The number of names to request per page. */
const pageSize = 1000

interface Response {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface Sending {
  readonly headers?: Readonly<Record<string, string>>
  /** A form to post (application/x-www-form-urlencoded); without one, the request is a GET. */
  readonly form?: URLSearchParams
}

const isLoopback = (host: string): boolean =>
  /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(host)

/** Reads the certificates that docker trusts for a registry (docs.docker.com/engine/security/certificates). */
async function certificatesOf(host: string, env: Environment): Promise<string[]> {
  const folders = ['/etc/docker', configFolder(env)].map((folder) => join(folder, 'certs.d', host))
  const found = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => [])
      const files = names.filter((name) => name.endsWith('.crt'))
      return Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
    }),
  )
  return found.flat()
}

/** Sends one request. Redirects are not followed, since they could send a login to another server. */
async function send(
  url: URL,
  { headers = {}, form }: Sending,
  { ca, insecure, signal }: RegistryAccess,
): Promise<Response> {
  const response = await httpRequest(url, {
    ...{ signal, form, idleMs: idleTimeoutMs, agent: proxyAgent(), rejectUnauthorized: !insecure },
    headers: { ...headers, connection: 'close' },
    ca: ca === undefined ? undefined : [...rootCertificates, ca],
  })
  const status = response.statusCode ?? 0
  const method = form === undefined ? 'GET' : 'POST'
  trace('docker', () => `${method} ${url.origin}${url.pathname}: ${status}`)
  return { status, headers: response.headers, body: await readText(response, longestResponse) }
}

/**
 * Parses the parameters of a challenge: `Bearer realm="…",service="…"` (RFC 9110 11.6.1). Returns undefined if the
 * header has no challenge of this scheme.
 */
function readChallenge(header: string, scheme: string): ReadonlyMap<string, string> | undefined {
  const start = new RegExp(`(?:^|,\\s*)${scheme}(?:\\s+|$)`, 'i').exec(header)
  if (start === null) return undefined
  const rest = header.slice(start.index + start[0].length)
  return new Map(
    [...rest.matchAll(/([a-z_]+)="([^"]*)"/gi)].map(([, name = '', value = '']) => [
      name.toLowerCase(),
      value,
    ]),
  )
}

/** Returns the message in the body of an error response: `{"errors":[{"message": …}]}`. */
function errorIn(body: string): string | undefined {
  try {
    const { errors = [] } = JSON.parse(body) as { errors?: readonly { message?: unknown }[] }
    const message = errors[0]?.message
    return typeof message === 'string' && message !== '' ? message.slice(0, 300) : undefined
  } catch {
    return undefined
  }
}

/**
 * Returns the URL of the next page, from a `Link` header (RFC 8288). Throws kind `failed` if the URL is on another
 * server.
 */
function nextPage(header: string | readonly string[] | undefined, from: URL): URL | undefined {
  const [, target] = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec([header].flat().join(', ')) ?? []
  if (target === undefined) return undefined
  const next = URL.canParse(target, from.href) ? new URL(target, from) : undefined
  if (next?.origin === from.origin) return next
  throw new UserError(
    'failed',
    `the next page of results from ${from.host} is on another server: ${target}`,
  )
}

/** A client of the distribution API of one registry (github.com/opencontainers/distribution-spec). */
class RegistryClient {
  readonly #name: string
  readonly #access: RegistryAccess
  #base: URL | undefined
  #authorization: string | undefined

  constructor(name: string, access: RegistryAccess) {
    this.#name = name
    this.#access = access
  }

  /** The registry as named in the Docker configuration. */
  get #key(): string {
    return this.#name === 'docker.io' ? dockerHub : this.#name
  }

  async #send(url: URL, sending: Sending): Promise<Response> {
    return send(url, sending, this.#access).catch((error: unknown) => {
      this.#access.signal.throwIfAborted()
      throw error
    })
  }

  /**
   * Connects, and returns the base URL of the API. HTTP is tried only if HTTPS fails, and only if the registry is on
   * this computer or `insecure` is set.
   */
  async #connect(): Promise<URL> {
    const host = this.#name === 'docker.io' ? 'registry-1.docker.io' : this.#name
    const secure = new URL(`https://${host}/v2/`)
    const mayBePlain = this.#access.insecure || isLoopback(secure.hostname)
    try {
      await this.#send(secure, {})
      return secure
    } catch (error) {
      const isPlain = /wrong version number|packet length too long|EPROTO/i.test(
        `${codeOf(error)} ${messageOf(error)}`,
      )
      if (mayBePlain && (isPlain || codeOf(error) === 'ECONNREFUSED')) {
        const plain = new URL(`http://${host}/v2/`)
        await this.#send(plain, {}).catch((thrown: unknown) => {
          throw this.#unreachable(thrown)
        })
        return plain
      }
      if (!isPlain) throw this.#unreachable(error)
      throw new UserError('unreachable', `the registry ${this.#name} does not use HTTPS`, {
        hint: 'to connect over plain HTTP, add --insecure',
        cause: error,
      })
    }
  }

  #unreachable(error: unknown): Error {
    if (error instanceof UserError) return error
    const isUntrusted = /CERT|SIGNED|ISSUER|ALTNAME|VERIFY/.test(codeOf(error) ?? '')
    return new UserError('unreachable', `cannot reach ${this.#name}: ${messageOf(error)}`, {
      hint: isUntrusted
        ? 'if the certificate was issued by your own certificate authority, add --ca FILE'
        : 'check the name, the port and the network; if you use a proxy, set HTTPS_PROXY',
      cause: error,
    })
  }

  #login(): Promise<Login | undefined> {
    return findLogin(this.#key, this.#access.env)
  }

  /** Fetches a token (distribution.github.io/distribution/spec/auth/token). */
  async #fetchToken(challenge: ReadonlyMap<string, string>): Promise<string> {
    const login = await this.#login()
    if (login?.registrytoken) return login.registrytoken
    const realm = challenge.get('realm') ?? ''
    const url = URL.canParse(realm) ? new URL(realm) : undefined
    const isAllowed =
      url?.protocol === 'https:' ||
      (url?.protocol === 'http:' && (this.#access.insecure || isLoopback(url.hostname)))
    if (url === undefined || !isAllowed) {
      throw new UserError(
        'failed',
        `${this.#name} redirects logins to ${JSON.stringify(realm)}, which is not an HTTPS URL`,
      )
    }
    const parameters = new URLSearchParams()
    for (const name of ['service', 'scope']) {
      const value = challenge.get(name)
      if (value !== undefined) parameters.set(name, value)
    }
    const form = new URLSearchParams(parameters)
    if (login?.identitytoken) {
      form.set('grant_type', 'refresh_token')
      form.set('client_id', 'fleet')
      form.set('refresh_token', login.identitytoken)
    } else for (const [name, value] of parameters) url.searchParams.append(name, value)
    const { status, body } = await this.#send(
      url,
      login?.identitytoken
        ? { form }
        : { headers: login?.auth ? { authorization: `Basic ${login.auth}` } : {} },
    ).catch((error: unknown) => {
      throw this.#unreachable(error)
    })
    if (status !== 200) throw this.#refused(login, errorIn(body) ?? `HTTP ${status}`)
    let token: unknown
    try {
      const answer = JSON.parse(body) as { token?: unknown; access_token?: unknown }
      token = answer.token ?? answer.access_token
    } catch {
      token = undefined
    }
    if (typeof token === 'string' && /^[\w.~+/=-]+$/.test(token)) return token
    throw new UserError('failed', `${url.host} returned no token for ${this.#name}`)
  }

  #refused(login: Login | undefined, why: string): UserError {
    const who =
      login === undefined ? 'without a login' : 'with the login in your Docker configuration'
    return new UserError('credentials', `cannot access ${this.#name} ${who}: ${why}`, {
      hint: `to log in: docker login ${shellQuote(this.#name)}`,
    })
  }

  /** Returns the `Authorization` header that answers a challenge. */
  async #answer({ headers, body }: Response): Promise<string> {
    const challenge = headers['www-authenticate'] ?? ''
    const bearer = readChallenge(challenge, 'bearer')
    if (bearer !== undefined) return `Bearer ${await this.#fetchToken(bearer)}`
    const login = await this.#login()
    if (login?.auth && readChallenge(challenge, 'basic') !== undefined) return `Basic ${login.auth}`
    throw this.#refused(login, errorIn(body) ?? 'authentication required')
  }

  async #get(url: URL): Promise<Response> {
    const ask = () =>
      this.#send(url, {
        headers: {
          accept: 'application/json',
          ...(this.#authorization !== undefined && { authorization: this.#authorization }),
        },
      }).catch((error: unknown) => {
        throw this.#unreachable(error)
      })
    const first = await ask()
    if (first.status !== 401) return first
    this.#authorization = await this.#answer(first)
    const second = await ask()
    if (second.status !== 401 && second.status !== 403) return second
    throw this.#refused(await this.#login(), errorIn(second.body) ?? `HTTP ${second.status}`)
  }

  /** Returns the names on all pages of a list: `{ KEY: ["…"] }`. Throws `missing` if there is no such list. */
  async list(path: string, key: string, missing: UserError): Promise<string[]> {
    this.#base ??= await this.#connect()
    const names: string[] = []
    const seen = new Set<string>()
    let url: URL | undefined = new URL(`${path}?n=${pageSize}`, this.#base)
    while (url !== undefined) {
      if (seen.has(url.href))
        throw new UserError('failed', `${this.#name} returned the same page of results twice`)
      seen.add(url.href)
      const { status, headers, body } = await this.#get(url)
      if (status === 404 || status === 405) throw missing
      if (status !== 200) {
        throw new UserError(
          'failed',
          `${this.#name} returned an error: ${errorIn(body) ?? `HTTP ${status}`}`,
        )
      }
      names.push(...this.#namesIn(body, key))
      if (names.length > maxNames) {
        throw new UserError('failed', `${this.#name} returned more than ${maxNames} names`)
      }
      url = nextPage(headers['link'], url)
    }
    return names
  }

  #namesIn(body: string, key: string): readonly string[] {
    let found: unknown
    try {
      found = (JSON.parse(body) as Record<string, unknown> | null)?.[key] ?? []
    } catch {
      found = undefined
    }
    if (Array.isArray(found) && found.every((name) => typeof name === 'string')) return found
    throw new UserError(
      'failed',
      `cannot read the response from ${this.#name}: the field ${key} is missing or invalid`,
    )
  }
}

/** Opens a client that also trusts the certificates that docker trusts for the registry. */
async function openRegistry(name: string, access: RegistryAccess): Promise<RegistryClient> {
  const own = await certificatesOf(name, access.env)
  const ca = [...own, ...(access.ca === undefined ? [] : [access.ca])].join('\n')
  return new RegistryClient(name, { ...access, ca: ca === '' ? undefined : ca })
}

/**
 * Lists the repositories of a registry (`host` or `host:port`), with the login in the user's Docker configuration.
 * Throws kind `credentials` if the registry rejects the login, and `unsupported` if it does not list its repositories.
 */
export async function listRepositories(name: string, access: RegistryAccess): Promise<string[]> {
  const client = await openRegistry(name, access)
  return client.list(
    '/v2/_catalog',
    'repositories',
    new UserError('unsupported', `${name} does not list its repositories`, {
      hint: `to list the tags of a repository: fleet registry tags ${name}/REPOSITORY`,
    }),
  )
}

/**
 * Lists the tags of a repository. Throws like {@link listRepositories}, and also kind `failed` if there is no such
 * repository.
 */
export async function listTags(
  name: string,
  repository: string,
  access: RegistryAccess,
): Promise<string[]> {
  const client = await openRegistry(name, access)
  return client.list(
    `/v2/${repository}/tags/list`,
    'tags',
    new UserError('failed', `there is no repository ${repository} in the registry ${name}`),
  )
}
