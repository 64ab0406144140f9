import { isAbsolute, join, posix, resolve } from 'node:path'
import { type Root, isWithin, localPath } from './rooted-paths.ts'

/** A project as `docker compose config --format json` writes it, as far as fleet reads it. */
export interface ProjectModel {
  readonly name: string
  readonly services?: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, { driver_opts?: Record<string, string> } | null>>
  readonly configs?: Readonly<Record<string, { file?: string }>>
  readonly secrets?: Readonly<Record<string, { file?: string }>>
}

interface Service {
  readonly image?: string
  readonly build?: Build
  readonly volumes?: readonly { type?: string; source?: string }[]
  readonly env_file?: readonly { path?: string }[]
  readonly label_file?: string[]
  readonly security_opt?: readonly string[]
  readonly credential_spec?: { file?: string }
  readonly develop?: { readonly watch?: readonly { path?: string }[] }
  readonly depends_on?: Readonly<Record<string, unknown>>
}

interface Build {
  context?: string
  dockerfile?: string
  readonly dockerfile_inline?: string
  readonly additional_contexts?: Record<string, string>
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reads a model; nothing where the text is none. */
export function parseModel(text: string): ProjectModel | undefined {
  try {
    const model: unknown = JSON.parse(text)
    if (!isRecord(model) || typeof model['name'] !== 'string') return undefined
    return isRecord(model['services'] ?? {}) ? (model as unknown as ProjectModel) : undefined
  } catch {
    return undefined
  }
}

const values = <Value>(record: Readonly<Record<string, Value>> | undefined): Value[] =>
  Object.values(record ?? {})

/** How a path of a model is used: a container mounts it, or compose itself reads it. */
type Use = 'mount' | 'read'

/** A model in which `map` has replaced each path that may be one of this computer. */
export function mapPaths(
  model: ProjectModel,
  map: (path: string, use: Use) => string,
): ProjectModel {
  const copy = structuredClone(model)
  const replace = <Key extends string>(
    holder: { [key in Key]?: unknown } | null | undefined,
    key: Key,
    use: Use,
  ): void => {
    const value: unknown = holder?.[key]
    if (holder && typeof value === 'string') Object.assign(holder, { [key]: map(value, use) })
  }
  for (const service of values(copy.services)) {
    for (const volume of service.volumes ?? []) {
      if (volume.type === 'bind') replace(volume, 'source', 'mount')
    }
    for (const file of service.env_file ?? []) replace(file, 'path', 'read')
    service.label_file?.forEach((_file, index, files) =>
      replace(files as never, `${index}`, 'read'),
    )
    for (const watched of service.develop?.watch ?? []) replace(watched, 'path', 'read')
    const { build } = service
    replace(build, 'context', 'read')
    replace(build, 'dockerfile', 'read')
    for (const name of Object.keys(build?.additional_contexts ?? {})) {
      replace(build?.additional_contexts, name, 'read')
    }
  }
  for (const volume of values(copy.volumes)) {
    if (volume?.driver_opts?.['o']?.split(',').includes('bind') === true) {
      replace(volume.driver_opts, 'device', 'mount')
    }
  }
  for (const file of [...values(copy.configs), ...values(copy.secrets)]) {
    replace(file, 'file', 'mount')
  }
  return copy
}

/** A folder of this computer that an image is built from. */
export interface LocalContext {
  readonly folder: string
  /** The Dockerfile, where it is a file. */
  readonly dockerfile?: string
}

/** What a model names of this computer, as paths of this computer. */
export interface LocalPaths {
  readonly mounts: ReadonlySet<string>
  readonly contexts: readonly LocalContext[]
  /** Files that compose reads when it makes containers, such as profiles of seccomp. */
  readonly files: ReadonlySet<string>
}

/**
 * The file of this computer that a path of a model means. What is absolute and outside of the project folder is the
 * host's, as it is to docker where `DOCKER_HOST` leads to a host.
 */
export function meantHere(root: Root, folder: string, path: string): string | undefined {
  const local = localPath(root, path)
  if (local !== undefined) return local
  return isAbsolute(path) && isWithin(folder, resolve(path)) ? resolve(path) : undefined
}

/** The name of a file in an option of `security_opt`: `seccomp:profile.json`. */
const profileOf = (option: string): string | undefined =>
  /^seccomp[:=](?!unconfined$|builtin$)(.+)$/.exec(option)?.[1]

/** Finds what the services `only` (all if absent) name of this computer. `root` is what compose resolved paths below. */
export function findLocalPaths(
  model: ProjectModel,
  { root, folder }: { root: Root; folder: string },
): LocalPaths {
  const mounts = new Set<string>()
  const files = new Set<string>()
  const contexts: LocalContext[] = []
  const meant = (path: string): string | undefined => meantHere(root, folder, path)
  mapPaths(model, (path, use) => {
    const local = use === 'mount' ? meant(path) : undefined
    if (local !== undefined) mounts.add(local)
    return path
  })
  for (const { build, security_opt = [], credential_spec } of values(model.services)) {
    for (const name of [...security_opt.map(profileOf), credential_spec?.file]) {
      if (name !== undefined && !isAbsolute(name)) files.add(join(folder, name))
    }
    if (build === undefined) continue
    const { context = '', dockerfile = 'Dockerfile', dockerfile_inline: inline } = build
    const main = meant(context)
    if (main !== undefined) {
      const file = meant(posix.resolve(context, dockerfile))
      const isInline = inline !== undefined || file === undefined
      contexts.push({ folder: main, ...(isInline ? {} : { dockerfile: file }) })
    }
    for (const more of values(build.additional_contexts)) {
      const other = meant(more)
      if (other !== undefined) contexts.push({ folder: other })
    }
  }
  return { mounts, contexts, files }
}

/** A model with the services `wanted` alone, and those that they depend on. */
export function pickServices(model: ProjectModel, wanted: readonly string[]): ProjectModel {
  const left = [...wanted]
  const picked: Record<string, Service> = {}
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const service = model.services?.[name]
    if (service === undefined || Object.hasOwn(picked, name)) continue
    picked[name] = service
    left.push(...Object.keys(service.depends_on ?? {}))
  }
  return { ...model, services: picked }
}
