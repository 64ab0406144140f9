import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import type { ObjectKind } from '../../engine/swarm/objects.ts'
import type { LocalFiles } from '../compose/read-local-files.ts'
import { type StackModel, type StackService, scaleOf, stackLabels } from '../stacks/stack-model.ts'

/** A Compose file in the format of `docker stack deploy` (version 3.8), which docker reads as JSON. */
export interface SwarmFile {
  readonly version: '3.8'
  readonly services: Readonly<Record<string, SwarmService>>
  readonly [section: string]: unknown
}

/** A service of a {@link SwarmFile}. Fields that are not declared here are interpreted only by Docker. */
export interface SwarmService {
  readonly image: string
  readonly environment?: Readonly<Record<string, string>>
  readonly deploy: {
    readonly mode?: string
    readonly replicas?: number
    readonly labels: Readonly<Record<string, string>>
    readonly placement?: { readonly constraints?: readonly string[] } | undefined
  }
  readonly [key: string]: unknown
}

/** A config or secret. Its name contains a digest of its content, so that new content creates a new object. */
export interface NamedContent {
  readonly kind: ObjectKind
  readonly name: string
  readonly content: Buffer
}

/** The file, configs and secrets to deploy to a swarm. */
export interface SwarmStack {
  readonly file: SwarmFile
  readonly objects: readonly NamedContent[]
}

/** The service label with the digest of the service's definition in the file. */
export const digestLabel = 'fleet.digest'

/** The directory that stands for the root of local files in a model that is converted to a swarm file. */
export const localRoot = '/fleet'

/** Keys of services that Swarm mode supports. Source: docker/cli, cli/compose/convert/service.go. */
const supported = new Set(
  'cap_add cap_drop command configs credential_spec deploy dns dns_search domainname entrypoint environment extra_hosts healthcheck hostname image init isolation labels logging networks ports read_only secrets stdin_open stop_grace_period stop_signal sysctls tty ulimits user volumes working_dir'.split(
    ' ',
  ),
)

/**
 * Keys that Swarm mode does not need, because images are built beforehand, names are assigned, and tasks are always
 * restarted.
 */
const unneeded = new Set(
  'attach build container_name depends_on develop env_file expose label_file platform profiles pull_policy restart scale'.split(
    ' ',
  ),
)

/**
 * The size limits of configs and secrets, in bytes; content must be smaller. Source: moby/swarmkit, MaxConfigSize and
 * MaxSecretSize. Engines before 23.0 also reject configs of more than 500 KiB.
 */
const contentLimit = { configs: 1000 * 1024, secrets: 500 * 1024 } as const

/** The maximum length of the names of configs and secrets. Source: moby/swarmkit, validateConfigOrSecretName. */
const longestName = 64

const shownDigits = 12

const digest = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex')

type Item = Readonly<Record<string, unknown>>

/** Converts the mode of a mounted config or secret to a number, because Compose prints `"0440"`. */
const withMode = (item: Item): Item => {
  const { mode } = item
  return typeof mode === 'string' ? { ...item, mode: Number.parseInt(mode, 8) } : item
}

/** Selects the fields of an item that exist in Docker's format. */
const pick = (item: Item, names: string): Item =>
  Object.fromEntries(
    names.split(' ').flatMap((name) => (item[name] == null ? [] : [[name, item[name]]])),
  )

/** Throws kind `unsupported` for a service that uses features that Swarm mode does not support. */
function checkService(stack: string, name: string, service: StackService): void {
  const refuse = (why: string, hint: string): never => {
    throw new UserError('unsupported', `stack ${stack}: service ${name} ${why}`, { hint })
  }
  for (const [key, value] of Object.entries(service)) {
    if (supported.has(key) || unneeded.has(key) || value == null || value === false) continue
    refuse(`sets ${key}, which Swarm mode does not support`, 'remove the key from the Compose file')
  }
  for (const { type, source = '' } of service.volumes ?? []) {
    if (type !== 'bind' || !`${source}/`.startsWith(`${localRoot}/`)) continue
    refuse(
      'mounts files from the inventory directory, which does not exist on the nodes',
      'use a config or a secret for files, and a volume for data',
    )
  }
}

function portOf(stack: string, name: string, port: Item): Item {
  const rest = pick(port, 'target protocol mode')
  const { published = '' } = port as { published?: string | number }
  if (published === '') return rest
  if (/^\d+$/.test(`${published}`)) return { ...rest, published: Number(published) }
  throw new UserError(
    'unsupported',
    `stack ${stack}: service ${name} publishes the ports ${published}; in a swarm, each entry can publish only one port`,
  )
}

function volumeOf(volume: Item): Item {
  const { tmpfs, bind } = volume as { tmpfs?: { size?: unknown }; bind?: Item }
  return {
    ...pick(volume, 'type source target read_only consistency'),
    ...(bind?.['propagation'] != null && { bind: pick(bind, 'propagation') }),
    ...(volume['volume'] != null && { volume: pick(volume['volume'] as Item, 'nocopy') }),
    ...(tmpfs?.size !== undefined && { tmpfs: { size: Number(tmpfs.size) } }),
  }
}

/** Converts resource limits to Docker's format, where CPUs are strings. */
function resourcesOf(resources: Item): Item {
  const parts = Object.entries(resources).map(([part, limits]) => {
    const { cpus } = limits as { cpus?: string | number }
    return [part, { ...(limits as Item), ...(cpus !== undefined && { cpus: `${cpus}` }) }]
  })
  return Object.fromEntries(parts) as Item
}

function deployOf(service: StackService): Item {
  const deploy = (service.deploy ?? {}) as Item
  const { resources } = deploy
  const isReplicated = (deploy['mode'] ?? 'replicated') === 'replicated'
  return {
    ...deploy,
    ...(isReplicated && { replicas: scaleOf(service) }),
    ...(resources != null && { resources: resourcesOf(resources as Item) }),
  }
}

const itemsOf = (value: unknown): readonly Item[] => (value ?? []) as readonly Item[]

/** Converts a service to Docker's format. */
function serviceOf(stack: string, name: string, service: StackService): SwarmService {
  checkService(stack, name, service)
  const { [stackLabels.inputs]: inputs, ...labels } = service.labels ?? {}
  const kept = Object.entries(service).filter(([key, value]) => supported.has(key) && value != null)
  const definition = {
    ...Object.fromEntries(kept),
    image: service.image ?? '',
    ...(service['ports'] != null && {
      ports: itemsOf(service['ports']).map((port) => portOf(stack, name, port)),
    }),
    ...(service.volumes !== undefined && { volumes: itemsOf(service.volumes).map(volumeOf) }),
    ...(service.configs !== undefined && { configs: itemsOf(service.configs).map(withMode) }),
    ...(service.secrets !== undefined && { secrets: itemsOf(service.secrets).map(withMode) }),
    ...(Array.isArray(service['extra_hosts']) && {
      extra_hosts: (service['extra_hosts'] as string[]).map((host) => host.replace('=', ':')),
    }),
    labels,
  }
  const deploy = deployOf(service)
  const own = (deploy['labels'] ?? {}) as Record<string, string>
  const value = digest(JSON.stringify([definition, deploy, inputs ?? null]))
  return {
    ...definition,
    deploy: { ...deploy, labels: { ...own, [digestLabel]: value } },
  }
}

/** The sources of the contents of configs and secrets. */
export interface ContentSources {
  readonly files: LocalFiles
  /** The variables for configs and secrets with `environment`. */
  readonly variables: Readonly<Record<string, string>>
}

interface Definition {
  readonly external?: boolean
  readonly name?: string
  readonly file?: string
  readonly content?: string
  readonly environment?: string
}

/** Reads the content of a config or secret; undefined if its file or variable is missing. */
async function contentOf(
  { file, content, environment }: Definition,
  { files, variables }: ContentSources,
): Promise<Buffer | undefined> {
  if (content !== undefined) return Buffer.from(content.replaceAll('$$', '$'))
  if (environment !== undefined) {
    const value = variables[environment]
    return value === undefined ? undefined : Buffer.from(value)
  }
  const local = file?.startsWith(`${localRoot}/`)
    ? files.get(file.slice(localRoot.length + 1))
    : undefined
  return local?.type === 'file' ? readFile(local.file) : undefined
}

/**
 * Creates the file for `docker stack deploy` from a model whose local files are below {@link localRoot}. Configs and
 * secrets become external and are named after their content. Throws kind `unsupported` for features that Swarm mode
 * does not support, and `failed` for content that is missing or too large.
 */
export async function swarmStackOf(
  model: StackModel,
  sources: ContentSources,
): Promise<SwarmStack> {
  const stack = model.name
  const objects: NamedContent[] = []
  const sections: Record<string, Record<string, unknown>> = {}
  for (const kind of ['configs', 'secrets'] as const) {
    for (const [key, value] of Object.entries(model[kind] ?? {})) {
      const definition = value as Definition
      const section = (sections[kind] ??= {})
      if (definition.external === true) {
        section[key] = { external: true, name: definition.name ?? key }
        continue
      }
      const content = await contentOf(definition, sources)
      const what = `${kind.slice(0, -1)} ${key} in stack ${stack}`
      if (content === undefined) {
        throw new UserError('failed', `the ${what} has no content: its file or variable is missing`)
      }
      if (content.length >= contentLimit[kind]) {
        throw new UserError(
          'failed',
          `the ${what} is too large: Swarm mode requires less than ${contentLimit[kind] / 1024} KiB`,
          { hint: 'put the file in an image or a volume' },
        )
      }
      const prefix = `${stack}_${key}`.slice(0, longestName - shownDigits - 1)
      const name = `${prefix}-${digest(content).slice(0, shownDigits)}`
      objects.push({ kind, name, content })
      section[key] = { external: true, name }
    }
  }
  const networks = Object.entries(model.networks ?? {}).map(([key, network]) => [
    key,
    pick(
      (network ?? {}) as Item,
      'name driver driver_opts external internal attachable labels ipam',
    ),
  ])
  const volumes = Object.entries(model.volumes ?? {}).map(([key, volume]) => [
    key,
    pick((volume ?? {}) as Item, 'name driver driver_opts external labels'),
  ])
  const names = new Map(
    Object.values(sections).flatMap((section) =>
      Object.entries(section).map(([key, value]) => [key, (value as Definition).name ?? key]),
    ),
  )
  const services = Object.entries(model.services).map(([name, service]) => {
    const used = [...itemsOf(service.configs), ...itemsOf(service.secrets)]
    const inputs = used.map(({ source }) => names.get(String(source)) ?? '').join(' ')
    const labels = {
      ...service.labels,
      [stackLabels.inputs]: `${service.labels?.[stackLabels.inputs] ?? ''} ${inputs}`,
    }
    return [name, serviceOf(stack, name, { ...service, labels })]
  })
  return {
    file: {
      version: '3.8',
      services: Object.fromEntries(services) as SwarmFile['services'],
      ...(networks.length > 0 && { networks: Object.fromEntries(networks) as Item }),
      ...(volumes.length > 0 && { volumes: Object.fromEntries(volumes) as Item }),
      ...sections,
    },
    objects,
  }
}
