import { UserError } from '../../../errors.ts'
import type { EngineSpec, Json } from '../../../machine/engine-spec.ts'
import { flag, text, texts } from '../../command.ts'

/**
 * The options of `fleet create` for the engine. Options that also exist in Docker Machine have the same names there.
 */
export const engineOptions = {
  engineVersion: text('--engine-version <version>', 'Docker version for a new host, such as 28.2'),
  engineChannel: text(
    '--engine-channel <channel>',
    'Docker package source for a new host: distribution, stable or test',
  ),
  engineRepository: text(
    '--engine-repository <url>',
    'URL of a Docker package repository mirror, for a new host',
  ),
  engineOpt: texts(
    '--engine-opt <option=value>',
    'dockerd option, such as log-driver=local (repeatable)',
  ),
  engineStorageDriver: text('--engine-storage-driver <driver>', 'engine storage driver'),
  engineLabel: texts('--engine-label <key=value>', 'label for the engine (repeatable)'),
  engineEnv: texts(
    '--engine-env <name=value>',
    'environment variable for the engine, such as HTTP_PROXY (repeatable)',
  ),
  engineInsecureRegistry: texts(
    '--engine-insecure-registry <registry>',
    'registry without a valid certificate, as HOST or HOST:PORT (repeatable)',
  ),
  engineRegistryMirror: texts(
    '--engine-registry-mirror <url>',
    'Docker Hub mirror for the engine (repeatable)',
  ),
  engineInstallUrl: text(
    '--engine-install-url <url>',
    'not supported: use --engine-channel or --engine-repository',
  ),
  engine: flag('--no-engine', 'do not install Docker on the host (for example, on a jump host)'),
} as const

/** The values of {@link engineOptions}. */
interface EngineValues {
  readonly engine: boolean
  readonly engineVersion: string | undefined
  readonly engineChannel: string | undefined
  readonly engineRepository: string | undefined
  readonly engineInstallUrl: string | undefined
  readonly engineStorageDriver: string | undefined
  readonly engineOpt: readonly string[]
  readonly engineLabel: readonly string[]
  readonly engineEnv: readonly string[]
  readonly engineInsecureRegistry: readonly string[]
  readonly engineRegistryMirror: readonly string[]
}

/** dockerd flags that can be repeated, and their keys in daemon.json (docs.docker.com/reference/cli/dockerd). */
const listKeys: Readonly<Record<string, string>> = {
  dns: 'dns',
  'dns-opt': 'dns-opts',
  'dns-search': 'dns-search',
  'exec-opt': 'exec-opts',
  'storage-opt': 'storage-opts',
  label: 'labels',
  'insecure-registry': 'insecure-registries',
  'registry-mirror': 'registry-mirrors',
  'authorization-plugin': 'authorization-plugins',
  'allow-nondistributable-artifacts': 'allow-nondistributable-artifacts',
}

/** dockerd flags that have a different name in daemon.json. */
const otherKeys: Readonly<Record<string, string>> = {
  g: 'data-root',
  graph: 'data-root',
  s: 'storage-driver',
  l: 'log-level',
  D: 'debug',
  host: 'hosts',
  H: 'hosts',
}

/** Keys in daemon.json whose values are numbers. */
const numberKeys = new Set([
  ...['mtu', 'network-control-plane-mtu', 'network-diagnostic-port', 'oom-score-adjust'],
  ...['max-concurrent-downloads', 'max-concurrent-uploads', 'max-download-attempts'],
  ...['shutdown-timeout', 'cpu-rt-period', 'cpu-rt-runtime'],
])

/** Splits `key=value`. Throws kind `usage` if the key is missing. */
function splitPair(option: string, word: string): readonly [key: string, value: string] {
  const at = word.indexOf('=')
  if (at > 0) return [word.slice(0, at), word.slice(at + 1)]
  throw new UserError('usage', `${option} ${JSON.stringify(word)} is not KEY=VALUE`, {
    hint: `for example: ${option} ${option === '--engine-env' ? 'HTTP_PROXY=http://proxy.example.com:3128' : 'max-size=10m'}`,
  })
}

/** Adds a dockerd option to the settings for daemon.json. */
function addOption(config: Map<string, Json>, word: string): void {
  const [, flagName = '', value = 'true'] = /^-{0,2}([^=]*)(?:=(.*))?$/s.exec(word) ?? []
  const append = (key: string, item: Json): void => {
    config.set(key, [...((config.get(key) as readonly Json[] | undefined) ?? []), item])
  }
  const extend = (key: string, [name, item]: readonly [string, Json]): void => {
    config.set(key, { ...(config.get(key) as object | undefined), [name]: item })
  }
  const listKey = Object.hasOwn(listKeys, flagName) ? listKeys[flagName] : undefined
  const option = `--engine-opt ${flagName}`
  if (listKey !== undefined) append(listKey, value)
  else if (flagName === 'log-opt') extend('log-opts', splitPair(option, value))
  else if (flagName === 'add-runtime') {
    const [name, path] = splitPair(option, value)
    extend('runtimes', [name, { path }])
  } else if (flagName === 'default-ulimit') {
    const [name, limits] = splitPair(option, value)
    const [soft = '', hard = soft] = limits.split(':')
    extend('default-ulimits', [name, { Name: name, Soft: Number(soft), Hard: Number(hard) }])
  } else if (flagName === 'default-address-pool') {
    const { base = '', size = '' } = Object.fromEntries(
      value.split(',').map((part) => splitPair(option, part)),
    )
    append('default-address-pools', { base, size: Number(size) })
  } else {
    const key = Object.hasOwn(otherKeys, flagName) ? (otherKeys[flagName] ?? '') : flagName
    const isNumber = numberKeys.has(key) && /^-?\d+$/.test(value)
    config.set(
      key,
      /^(?:true|false)$/.test(value) ? value === 'true' : isNumber ? Number(value) : value,
    )
  }
}

/** Whether a registry is a network, such as `10.0.0.0/8`. */
const isNetwork = (word: string): boolean => word.includes('/')

/**
 * Returns the registries that the options configure. A network (`10.0.0.0/8`) can be listed only in daemon.json, so it
 * is added to `config`.
 */
function registriesOf(
  { engineInsecureRegistry, engineRegistryMirror: mirrors }: EngineValues,
  config: Map<string, Json>,
): NonNullable<EngineSpec['registries']> {
  for (const network of engineInsecureRegistry.filter(isNetwork)) {
    addOption(config, `insecure-registry=${network}`)
  }
  const [mirror] = mirrors
  return {
    ...Object.fromEntries(
      engineInsecureRegistry
        .filter((word) => !isNetwork(word))
        .map((name) => [name, { insecure: true as const }]),
    ),
    ...(mirror !== undefined && {
      'docker.io': { mirror: mirrors.length > 1 ? [...mirrors] : mirror },
    }),
  }
}

function refuseInstallUrl(url: string): never {
  const channel = url.includes('test.docker.com') ? 'test' : 'stable'
  throw new UserError('usage', 'fleet does not run installation scripts from a URL', {
    hint: `to install Docker's own packages: --engine-channel ${channel}; to use a package mirror: --engine-repository URL`,
  })
}

function channelOf(name: string | undefined): EngineSpec['channel'] {
  const channel = (['distribution', 'stable', 'test'] as const).find((one) => one === name)
  if (name !== undefined && channel === undefined) {
    throw new UserError('usage', `unknown engine channel ${JSON.stringify(name)}`, {
      hint: 'use --engine-channel distribution, stable or test',
    })
  }
  return channel
}

/**
 * Resolves to the engine settings that the options specify; undefined if they specify none. Throws kind `usage` for
 * invalid values.
 */
export async function engineFrom(values: EngineValues): Promise<EngineSpec | 'none' | undefined> {
  if (values.engineInstallUrl !== undefined) refuseInstallUrl(values.engineInstallUrl)
  const config = new Map<string, Json>()
  for (const word of values.engineOpt) addOption(config, word)
  if (values.engineStorageDriver !== undefined) {
    config.set('storage-driver', values.engineStorageDriver)
  }
  for (const label of values.engineLabel) {
    addOption(config, `label=${splitPair('--engine-label', label).join('=')}`)
  }
  const registries = registriesOf(values, config)
  const environment = Object.fromEntries(
    values.engineEnv.map((word) => splitPair('--engine-env', word)),
  )
  const channel = channelOf(values.engineChannel)
  const { engineVersion: version, engineRepository: repository } = values
  const spec: EngineSpec = {
    ...(version !== undefined && { version }),
    ...(channel !== undefined && { channel }),
    ...(repository !== undefined && { repository }),
    ...(config.size > 0 && { config: Object.fromEntries(config) }),
    ...(Object.keys(environment).length > 0 && { environment }),
    ...(Object.keys(registries).length > 0 && { registries }),
  }
  if (Object.keys(spec).length === 0) return values.engine ? undefined : 'none'
  if (!values.engine) {
    throw new UserError('usage', '--no-engine cannot be combined with other engine options')
  }
  const { engineSpec } = await import('../../../machine/engine-spec.ts')
  const { error } = engineSpec.safeParse(spec)
  const issue = error?.issues[0]
  if (issue === undefined) return spec
  const path = issue.path.map(String).join('.')
  const expected = issue.code === 'invalid_key' ? issue.issues[0]?.message : issue.message
  throw new UserError('usage', `invalid engine.${path}: expected ${expected}`, {
    hint: 'to list the engine options: fleet create --help',
  })
}
