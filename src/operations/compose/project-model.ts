import { isAbsolute, join, posix, resolve } from 'node:path'
import { type Root, isWithin, localPath } from './rooted-paths.ts'

/** The parts of `docker compose config --format json` that fleet uses. */
export interface ProjectModel {
  readonly name: string
  readonly services?: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, { driver_opts?: Record<string, string> } | null>>
  readonly configs?: Readonly<Record<string, { file?: string }>>
  readonly secrets?: Readonly<Record<string, { file?: string }>>
}

/** The parts of a service that fleet uses. */
export interface Service {
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

/** Parses a model; undefined if it is invalid. */
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

/** How a path is used: mounted by a container, read by Compose, or sent to the engine for a build. */
export type Use = 'mount' | 'read' | 'build'

/** Unescapes a string of a resolved model. Compose writes each `$` as `$$`, so that it can read its own output. */
export const plainText = (text: string): string => text.replaceAll('$$', () => '$')

const escapeDollars = (text: string): string => text.replaceAll('$', () => '$$')

/**
 * Replaces each path of a model that may be local with the result of `map`. `owner` is the element that contains the
 * path, such as `service web` or `config app`.
 */
export function mapPaths(
  model: ProjectModel,
  map: (path: string, use: Use, owner: string) => string,
): ProjectModel {
  const copy = structuredClone(model)
  let owner = ''
  const replace = <Key extends string>(
    holder: { [key in Key]?: unknown } | null | undefined,
    key: Key,
    use: Use,
  ): void => {
    const value: unknown = holder?.[key]
    if (!holder || typeof value !== 'string') return
    Object.assign(holder, { [key]: escapeDollars(map(plainText(value), use, owner)) })
  }
  for (const [name, service] of Object.entries(copy.services ?? {})) {
    owner = `service ${name}`
    for (const volume of service.volumes ?? []) {
      if (volume.type === 'bind') replace(volume, 'source', 'mount')
    }
    for (const file of service.env_file ?? []) replace(file, 'path', 'read')
    service.label_file?.forEach((_file, index, files) =>
      replace(files as never, `${index}`, 'read'),
    )
    for (const watched of service.develop?.watch ?? []) replace(watched, 'path', 'read')
    const { build } = service
    replace(build, 'context', 'build')
    replace(build, 'dockerfile', 'build')
    for (const name of Object.keys(build?.additional_contexts ?? {})) {
      replace(build?.additional_contexts, name, 'build')
    }
  }
  for (const [name, volume] of Object.entries(copy.volumes ?? {})) {
    owner = `volume ${name}`
    if (volume?.driver_opts?.['o']?.split(',').includes('bind') === true) {
      replace(volume.driver_opts, 'device', 'mount')
    }
  }
  for (const kind of ['config', 'secret'] as const) {
    for (const [name, file] of Object.entries(copy[`${kind}s`] ?? {})) {
      owner = `${kind} ${name}`
      replace(file, 'file', 'mount')
    }
  }
  return copy
}

/** A local build context. */
export interface LocalContext {
  readonly folder: string
  /** The path of the Dockerfile, if it is a local file. */
  readonly dockerfile?: string
}

/** The local paths of a model. */
export interface LocalPaths {
  readonly mounts: ReadonlySet<string>
  readonly contexts: readonly LocalContext[]
  /** Files that Compose reads when it creates containers, such as seccomp profiles. */
  readonly files: ReadonlySet<string>
}

/**
 * Returns the local file for a path in a model; undefined for a path on the host. An absolute path outside the project
 * directory is a path on the host, as it is for docker with `DOCKER_HOST`.
 */
export function localFileOf(root: Root, folder: string, path: string): string | undefined {
  const local = localPath(root, path)
  if (local !== undefined) return local
  return isAbsolute(path) && isWithin(folder, resolve(path)) ? resolve(path) : undefined
}

/** The file in a `security_opt` value such as `seccomp:profile.json`. */
const profileOf = (option: string): string | undefined =>
  /^seccomp[:=](?!unconfined$|builtin$)(.+)$/.exec(option)?.[1]

/** Finds the local paths of a model that Compose has resolved below `root`. */
export function findLocalPaths(
  model: ProjectModel,
  { root, folder }: { root: Root; folder: string },
): LocalPaths {
  const mounts = new Set<string>()
  const files = new Set<string>()
  const contexts: LocalContext[] = []
  const meant = (path: string): string | undefined => localFileOf(root, folder, plainText(path))
  mapPaths(model, (path, use) => {
    const local = use === 'mount' ? localFileOf(root, folder, path) : undefined
    if (local !== undefined) mounts.add(local)
    return path
  })
  for (const { build, security_opt = [], credential_spec } of values(model.services)) {
    for (const name of [...security_opt.map(profileOf), credential_spec?.file]) {
      if (name !== undefined && !isAbsolute(name)) files.add(join(folder, plainText(name)))
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

/** Reduces a model to the `wanted` services and their dependencies. */
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
