import { createHash } from 'node:crypto'
import type { ProjectModel, Service } from '../compose/project-model.ts'

/** A service of a model. Fields that are not declared here are interpreted only by Compose. */
export interface StackService extends Service {
  readonly scale?: number
  readonly deploy?: { readonly replicas?: number } | null
  readonly labels?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string | null>>
  readonly depends_on?: Readonly<Record<string, { readonly condition?: string }>>
  readonly network_mode?: string
  readonly ipc?: string
  readonly pid?: string
  readonly volumes_from?: readonly string[]
  readonly networks?: Readonly<Record<string, unknown>>
  readonly configs?: readonly { readonly source?: string }[]
  readonly secrets?: readonly { readonly source?: string }[]
  readonly [key: string]: unknown
}

/** The model of a stack, as `docker compose config --format json` prints it, with all environment files resolved. */
export interface StackModel extends ProjectModel {
  readonly services: Readonly<Record<string, StackService>>
  readonly networks?: Readonly<Record<string, unknown>>
}

/** Compose's label for the project name of a container, which is the name of its stack. */
export const projectLabel = 'com.docker.compose.project'

/**
 * The labels that fleet adds to services. A label is part of Compose's hash of the configuration, so a changed value
 * recreates the containers.
 */
export const stackLabels = {
  /** The digest of the files and definitions that a service uses. */
  inputs: 'fleet.inputs',
  /** The digest of the definition of a service whose Compose hash cannot be computed in advance. */
  definition: 'fleet.definition',
} as const

const digest = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex')

/**
 * Returns the services to whose containers a service refers by ID. When one of them is recreated, so is the service.
 */
export function followedBy(service: StackService): readonly string[] {
  const modes = [service.network_mode, service.ipc, service.pid].flatMap(
    (mode) => /^service:(.+)$/.exec(mode ?? '')?.[1] ?? [],
  )
  return [...new Set([...modes, ...sharesVolumesOf(service)])]
}

/** The services in `volumes_from`; entries are `SERVICE[:ro]` or `container:NAME[:ro]`. */
const sharesVolumesOf = ({ volumes_from = [] }: StackService): readonly string[] =>
  volumes_from.flatMap((text) => {
    const [name = ''] = text.split(':')
    return name === 'container' ? [] : [name]
  })

/**
 * Whether `config --hash` cannot predict the hash of a service's containers: Compose replaces a service in
 * `volumes_from` with a container ID, which it does not accept in files.
 */
export const hasUnknownHash = (service: StackService): boolean =>
  sharesVolumesOf(service).length > 0

/** The number of containers of a service (`GetScale` in compose-go). */
export const scaleOf = ({ scale, deploy }: StackService): number => scale ?? deploy?.replicas ?? 1

/** Returns the image of a service. Compose names the images that it builds after the project and the service. */
export const imageOf = (project: string, name: string, { image }: StackService): string =>
  image ?? `${project}-${name}`

/** Matches one component of a repository name. Source: github.com/distribution/reference, "path-component". */
const repositoryPart = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

/**
 * Converts a name to part of an image name. Services can have names that are not valid in image names, such as `Web`.
 * Such a name gets a digest appended, so that no two names become equal.
 */
export function imagePart(name: string): string {
  if (repositoryPart.test(name)) return name
  const letters = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
  return `${letters === '' ? 'x' : letters}-${digest(name).slice(0, 8)}`
}

/** Whether a service is finished once its containers have exited, because another service waits for its completion. */
export const isOneShot = ({ services }: StackModel, name: string): boolean =>
  Object.values(services).some(
    ({ depends_on = {} }) => depends_on[name]?.condition === 'service_completed_successfully',
  )

/**
 * Returns the model to deploy, without data that is only on the computer with the Compose files. If Compose resolves
 * the model again, nothing changes:
 * - Profiles have been applied. Some versions of Compose include them in the hash.
 * - Images have been built.
 * - Variables without a value are removed, because they would be taken from another environment.
 * - `inputs`: the digest of the files and definitions of each service.
 * - `builds`: the names of built images, keyed by service.
 */
export function deployedModel(
  model: StackModel,
  inputs: ReadonlyMap<string, string>,
  builds: ReadonlyMap<string, string> = new Map(),
): StackModel {
  const services = Object.entries(model.services).map(([name, service]) => {
    const {
      build,
      develop: _watched,
      env_file: _resolved,
      label_file: _merged,
      profiles: _chosen,
      environment = {},
      ...rest
    } = service
    const variables = Object.entries(environment).filter(([, value]) => value !== null)
    const deployed = {
      ...rest,
      image: builds.get(name) ?? imageOf(model.name, name, service),
      ...((build !== undefined || builds.has(name)) && { pull_policy: 'never' }),
      ...(variables.length > 0 && { environment: Object.fromEntries(variables) }),
    }
    const used = inputs.get(name)
    const labels = {
      ...service.labels,
      ...(used !== undefined && { [stackLabels.inputs]: used }),
      ...(hasUnknownHash(service) && { [stackLabels.definition]: definitionDigest(deployed) }),
    }
    return [name, Object.keys(labels).length === 0 ? deployed : { ...deployed, labels }] as const
  })
  return { ...model, services: Object.fromEntries(services) }
}

/**
 * Returns a digest of the properties that make Compose recreate containers when they change. Compose must have resolved
 * the service.
 */
function definitionDigest(service: StackService): string {
  const { scale: _scale, pull_policy: _policy, deploy, ...rest } = service
  const { replicas: _replicas, ...limits } = deploy ?? {}
  return digest({ ...rest, deploy: limits })
}

/**
 * Returns the model as Compose sees it while it creates containers, with the IDs of the containers whose namespaces
 * other services share. `first`: returns the ID of the first container of a service.
 */
export function withContainerIds(
  model: StackModel,
  first: (service: string) => string | undefined,
): StackModel {
  const resolve = (mode: string | undefined): string | undefined => {
    const [, name] = /^service:(.+)$/.exec(mode ?? '') ?? []
    const id = name === undefined ? undefined : first(name)
    return id === undefined ? mode : `container:${id}`
  }
  const services = Object.entries(model.services).map(([name, service]) => {
    const { network_mode, ipc, pid } = service
    const modes = Object.entries({ network_mode, ipc, pid }).flatMap(([key, mode]) =>
      mode === undefined ? [] : [[key, resolve(mode)] as const],
    )
    return [name, { ...service, ...Object.fromEntries(modes) }] as const
  })
  return { ...model, services: Object.fromEntries(services) }
}

/** Whether any service shares another service's namespace, in which case hashes differ from host to host. */
export const sharesNamespaces = ({ services }: StackModel): boolean =>
  Object.values(services).some(({ network_mode, ipc, pid }) =>
    [network_mode, ipc, pid].some((mode) => mode?.startsWith('service:')),
  )
