import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError, codeOf, messageOf } from '../errors.ts'
import { findProgram } from '../os/find-program.ts'
import { shellQuote } from '../os/shell-quote.ts'
import { execProgram } from '../os/exec-file.ts'
import type { Environment } from '../os/environment.ts'

/** A login in `auths` of docker's config.json. Secret. */
export interface Login {
  readonly auth?: string
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly registrytoken?: string
}

/** The fields of docker's config.json that concern logins. */
interface DockerConfig {
  readonly auths?: Readonly<Record<string, Login>>
  readonly credsStore?: string
  readonly credHelpers?: Readonly<Record<string, string>>
}

/** Returns the directory of the user's Docker configuration. */
export const configFolder = (env: Environment): string =>
  env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker')

async function readConfig(env: Environment): Promise<DockerConfig> {
  const file = join(configFolder(env), 'config.json')
  try {
    return JSON.parse(await readFile(file, 'utf8')) as DockerConfig
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {}
    const why = error instanceof SyntaxError ? 'the file is not valid JSON' : messageOf(error)
    throw new UserError('credentials', `cannot read the Docker configuration ${file}: ${why}`)
  }
}

/** Returns the registry host in a key of `auths`; older versions of docker wrote URLs as keys. */
const registryHostOf = (key: string): string => key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')

const basic = (user: string, secret: string): Login => ({
  auth: Buffer.from(`${user}:${secret}`).toString('base64'),
})

/** Returns the login of a registry in config.json, converted to the format that all versions of docker read. */
function storedLogin(config: DockerConfig, registry: string): Login | undefined {
  const { auths = {} } = config
  const similar = Object.keys(auths).find((key) => registryHostOf(key) === registryHostOf(registry))
  const login = auths[registry] ?? (similar === undefined ? undefined : auths[similar])
  if (login?.auth) {
    const { auth, identitytoken } = login
    return identitytoken ? { auth, identitytoken } : { auth }
  }
  if (login?.username && login.password) return basic(login.username, login.password)
  if (login?.registrytoken) return { registrytoken: login.registrytoken }
  return undefined
}

/** Runs `docker-credential-NAME get`. Its output is secret, so errors do not contain it. */
async function askHelper(
  name: string,
  registry: string,
  env: Environment,
): Promise<Login | undefined> {
  const program = `docker-credential-${name}`
  const path = await findProgram(program, env)
  if (path === undefined) {
    throw new UserError(
      'credentials',
      `the login for ${registry} is stored by ${program}, which is not installed`,
      {
        hint: `install ${program}, or remove it from Docker's config.json`,
      },
    )
  }
  const answer = await execProgram(path, ['get'], { env, input: registry }).catch(
    ({ stdout = '' }: { readonly stdout?: string }) => ({ failed: stdout }),
  )
  if ('failed' in answer) {
    if (/credentials not found/i.test(answer.failed)) return undefined
    throw new UserError('credentials', `${program} did not return the login for ${registry}`, {
      hint: `to see the error: echo ${shellQuote(registry)} | ${shellQuote(program)} get`,
    })
  }
  return loginOf(answer.stdout, program)
}

/** Parses the output of a credential helper. Source: docker-credential-helpers, the protocol of `get`. */
function loginOf(answer: string, program: string): Login | undefined {
  let parsed: { Username?: string; Secret?: string }
  try {
    parsed = JSON.parse(answer) as typeof parsed
  } catch {
    throw new UserError('credentials', `${program} returned invalid JSON`)
  }
  const { Username: user, Secret: secret } = parsed
  if (!secret) return undefined
  return user === '<token>' ? { identitytoken: secret } : basic(user ?? '', secret)
}

async function loginIn(
  config: DockerConfig,
  registry: string,
  env: Environment,
): Promise<Login | undefined> {
  const helper = config.credHelpers?.[registry] ?? config.credsStore
  return (
    (helper ? await askHelper(helper, registry, env) : undefined) ?? storedLogin(config, registry)
  )
}

/**
 * Finds the user's login to a registry in docker's config.json, its credential store or its credential helpers, in the
 * order that docker uses. The result is secret. Throws kind `credentials` when it cannot be read.
 */
export const findLogin = async (registry: string, env: Environment): Promise<Login | undefined> =>
  loginIn(await readConfig(env), registry, env)

/**
 * Creates the text of a config.json with only the user's logins to `registries`; undefined if there are none. The
 * result is secret. Throws as {@link findLogin} does.
 */
export async function configWithLogins(
  registries: ReadonlySet<string>,
  env: Environment,
): Promise<string | undefined> {
  const config = await readConfig(env)
  const auths: Record<string, Login> = {}
  for (const registry of registries) {
    const login = await loginIn(config, registry, env)
    if (login !== undefined) auths[registry] = login
  }
  return Object.keys(auths).length === 0 ? undefined : JSON.stringify({ auths })
}
