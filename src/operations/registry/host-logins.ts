import type { Engine } from '../../engine/engine.ts'
import { type RegistryLogin, checkLogin } from '../../engine/system.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { type CommandResult, run } from '../../transport/run.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context } from '../context.ts'

/** The account on a host whose docker configuration is used. */
export interface Account {
  /** Whether the account is root rather than the login user. */
  readonly root: boolean
}

/** A registry login stored on a host. */
export interface StoredLogin {
  /** The name of the registry in docker's configuration. */
  readonly registry: string
  readonly user?: string
  /** The path of the configuration file. */
  readonly file: string
  /**
   * The credential helper that stores the password; absent if the configuration file, which only its owner can read,
   * contains it.
   */
  readonly helper?: string
}

/** The fields of docker's config.json that concern logins; all other fields are preserved. */
interface HostConfig {
  readonly auths?: Readonly<Record<string, unknown>>
  readonly credsStore?: unknown
  readonly credHelpers?: Readonly<Record<string, unknown>>
  readonly [other: string]: unknown
}

/** A shell script that prints the path of the configuration file, a NUL, and the content of the file. */
const readConfig = `
file=\${DOCKER_CONFIG:-$HOME/.docker}/config.json
printf '%s\\0' "$file"
[ ! -e "$file" ] || exec cat -- "$file"
`

/**
 * A shell script that replaces the content of the configuration file `$1` with its input, which must have a length of
 * `$2` bytes. If `$1` is a symbolic link, the link is preserved.
 */
const writeConfig = `
umask 077
mkdir -p -- "$(dirname -- "$1")" || exit
file=$(readlink -f -- "$1") || exit
temporary=$file.fleet-$$
trap 'rm -f -- "$temporary"' EXIT
trap 'exit 1' HUP INT TERM PIPE
cat >"$temporary" && [ "$(wc -c <"$temporary")" -eq "$2" ] && mv -f -- "$temporary" "$file"
`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const hostOf = (registry: string): string =>
  registry.replace(/^https?:\/\//, '').replace(/\/.*$/, '')

/** Docker's configuration on a host. */
class HostLogins {
  readonly #machine: string
  readonly #transport: Transport
  readonly #become: readonly string[]
  readonly #signal: AbortSignal

  constructor(
    machine: string,
    transport: Transport,
    become: readonly string[],
    signal: AbortSignal,
  ) {
    this.#machine = machine
    this.#transport = transport
    this.#become = become
    this.#signal = signal
  }

  #run(words: readonly string[], input = ''): Promise<CommandResult> {
    return run(this.#transport, [...this.#become, ...words], { input, signal: this.#signal })
  }

  #failed(what: string, { code, stderr }: Pick<CommandResult, 'code' | 'stderr'>): UserError {
    const why = stderr.trim().slice(0, 500) || `exit code ${code}`
    const hint = /^sudo: .*(?:password|not allowed|not in the sudoers)/m.test(why)
      ? 'allow the user to use sudo without a password, or log in as root'
      : undefined
    return new UserError('failed', `${what}: ${why}`, { machine: this.#machine, hint })
  }

  async read(): Promise<{ readonly file: string; readonly config: HostConfig }> {
    const result = await this.#run(['sh', '-c', readConfig])
    const [file = '', ...content] = result.stdout.split('\0')
    if (result.code !== 0)
      throw this.#failed(`cannot read ${file || "Docker's configuration"}`, result)
    const text = content.join('\0')
    let config: unknown = {}
    try {
      if (text.trim() !== '') config = JSON.parse(text)
    } catch {
      config = undefined
    }
    if (
      !isObject(config) ||
      !isObject(config['auths'] ?? {}) ||
      !isObject(config['credHelpers'] ?? {})
    ) {
      throw new UserError('failed', `${file} is not a valid Docker configuration file`, {
        machine: this.#machine,
        hint: 'correct the file on the host',
      })
    }
    return { file, config }
  }

  /** Replaces the file. Only its owner can read the new one. */
  async write(file: string, config: HostConfig): Promise<void> {
    const text = `${JSON.stringify(config, undefined, '\t')}\n`
    const size = String(Buffer.byteLength(text))
    const result = await this.#run(['sh', '-c', writeConfig, 'fleet', file, size], text)
    if (result.code !== 0) throw this.#failed(`cannot write ${file}`, result)
  }

  /** Runs a credential helper (github.com/docker/docker-credential-helpers). The input and output are secret. */
  async ask(helper: string, verb: 'store' | 'erase' | 'list', input: string): Promise<string> {
    const { code, stdout } = await this.#run([helper, verb], input)
    if (code === 0) return stdout
    if (code === 127) {
      throw new UserError('failed', `the credential helper ${helper} is not installed`, {
        machine: this.#machine,
        hint: `install ${helper} on the host, or remove it from Docker's config.json`,
      })
    }
    // Do not show the helper's message: it may contain the secret input.
    throw new UserError('failed', `${helper} ${verb} failed with exit code ${code}`, {
      machine: this.#machine,
      hint: 'to see the error, run the helper on the host',
    })
  }
}

async function openLogins(
  context: Context,
  machine: Machine,
  { root }: Account,
  signal: AbortSignal,
): Promise<HostLogins> {
  const transport = await context.connect(machine)
  const { stdout } = await run(transport, ['id', '-u'], { signal })
  const become = root && stdout.trim() !== '0' ? ['sudo', '-n', '-H'] : []
  return new HostLogins(machine.name, transport, become, signal)
}

/** The credential helper that a configuration specifies for a registry. */
function helperOf(
  { credHelpers = {}, credsStore }: HostConfig,
  registry: string,
): string | undefined {
  const name = (Object.hasOwn(credHelpers, registry) && credHelpers[registry]) || credsStore
  if (typeof name !== 'string' || name === '') return undefined
  return `docker-credential-${name}`
}

const encode = (user: string, password: string): string =>
  Buffer.from(`${user}:${password}`).toString('base64')

/**
 * Logs a host in to a registry. The host's engine checks the login, which is then stored in docker's configuration on
 * the host, or by the credential helper that the configuration specifies. Throws kind `credentials` if the registry
 * rejects the login.
 */
export async function loginOnHost(
  context: Context,
  engine: Engine,
  machine: Machine,
  { login, account, signal }: { login: RegistryLogin; account: Account; signal: AbortSignal },
): Promise<StoredLogin> {
  const { registry, user, password } = login
  const token = await checkLogin(engine, login, signal).catch((error: unknown) => {
    if (!(error instanceof UserError) || error.kind !== 'failed') throw error
    throw new UserError('credentials', `${hostOf(registry)} rejected the login: ${error.message}`, {
      machine: machine.name,
      cause: error,
    })
  })
  const logins = await openLogins(context, machine, account, signal)
  const { file, config } = await logins.read()
  const helper = helperOf(config, registry)
  const secret = {
    auth: encode(user, token === '' ? password : ''),
    ...(token !== '' && { identitytoken: token }),
  }
  if (helper !== undefined) {
    const [Username, Secret] = token === '' ? [user, password] : ['<token>', token]
    await logins.ask(helper, 'store', JSON.stringify({ ServerURL: registry, Username, Secret }))
  }
  // As docker does, write an empty entry if a helper stores the login.
  const auths = { ...config.auths, [registry]: helper === undefined ? secret : {} }
  await logins.write(file, { ...config, auths })
  return { registry, user, file, ...(helper !== undefined && { helper }) }
}

/** Logs a host out of a registry. `removed` tells whether there was a login. */
export async function logoutOnHost(
  context: Context,
  machine: Machine,
  { registry, account, signal }: { registry: string; account: Account; signal: AbortSignal },
): Promise<{ readonly registry: string; readonly file: string; readonly removed: boolean }> {
  const logins = await openLogins(context, machine, account, signal)
  const { file, config } = await logins.read()
  const { auths = {} } = config
  const same = (key: string): boolean => hostOf(key) === hostOf(registry)
  const helper = helperOf(config, registry)
  const isKept = Object.keys(auths).some(same)
  const isListed = helper !== undefined && (await listIn(logins, helper)).some(([key]) => same(key))
  if (helper !== undefined && isListed) await logins.ask(helper, 'erase', registry)
  if (isKept) {
    const others = Object.entries(auths).filter(([key]) => !same(key))
    await logins.write(file, { ...config, auths: Object.fromEntries(others) })
  }
  return { registry, file, removed: isKept || isListed }
}

/** The registries for which a credential helper stores logins, each with its user. */
async function listIn(logins: HostLogins, helper: string): Promise<[string, string][]> {
  const text = await logins.ask(helper, 'list', '')
  try {
    const found: unknown = JSON.parse(text)
    if (isObject(found)) return Object.entries(found).map(([key, user]) => [key, String(user)])
  } catch {
    // reported below
  }
  throw new UserError('failed', `${helper} list did not print a JSON object`)
}

/** The user in an entry of `auths`; undefined if the entry contains no login. */
function userIn(entry: unknown): string | undefined {
  if (!isObject(entry)) return undefined
  const { auth, username } = entry
  if (typeof auth === 'string' && auth !== '') {
    return Buffer.from(auth, 'base64').toString().split(':', 1)[0] ?? ''
  }
  return typeof username === 'string' && username !== '' ? username : undefined
}

/** Lists the registry logins stored on a host. */
export async function listLoginsOnHost(
  context: Context,
  machine: Machine,
  { account, signal }: { account: Account; signal: AbortSignal },
): Promise<StoredLogin[]> {
  const logins = await openLogins(context, machine, account, signal)
  const { file, config } = await logins.read()
  const { auths = {}, credHelpers = {}, credsStore } = config
  const inFile = Object.entries(auths).flatMap(([registry, entry]) => {
    const user = userIn(entry)
    return user === undefined ? [] : [{ registry, user, file }]
  })
  const names = [...Object.values(credHelpers), credsStore]
  const helpers = [...new Set(names.filter((name) => typeof name === 'string' && name !== ''))]
  const inHelpers: StoredLogin[] = []
  for (const name of helpers) {
    const helper = `docker-credential-${String(name)}`
    const listed = await listIn(logins, helper)
    const used = listed.filter(([registry]) => helperOf(config, registry) === helper)
    inHelpers.push(...used.map(([registry, user]) => ({ registry, user, file, helper })))
  }
  const isHelped = (registry: string) => inHelpers.some((login) => login.registry === registry)
  return [...inFile.filter(({ registry }) => !isHelped(registry)), ...inHelpers]
}
