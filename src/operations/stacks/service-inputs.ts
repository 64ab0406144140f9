import { createHash } from 'node:crypto'
import type { Environment } from '../../os/environment.ts'
import type { Entry, LocalFiles } from '../compose/read-local-files.ts'
import type { StackModel, StackService } from './stack-model.ts'

/** The sources of the files and variables that services use. */
export interface InputSources {
  /** The local files that are copied to hosts, keyed by path below the root, without a leading `/`. */
  readonly files: LocalFiles
  /** Returns the path in `files` for a path in the model; undefined for a path on the host. */
  readonly fileOf: (path: string) => string | undefined
  /** The variables of the caller, for configs and secrets with `environment`. */
  readonly env: Environment
}

/**
 * Returns the properties to compare for a file or directory. They include only the part of its mode that git keeps,
 * because the rest may differ between two users' clones.
 */
const summaryOf = (entry: Entry): readonly unknown[] => {
  if (entry.type === 'file') return ['file', (entry.mode & 0o100) !== 0, entry.digest]
  return entry.type === 'folder' ? ['folder'] : ['link', entry.target]
}

/** Returns a file, or a directory and everything in it, in a fixed order. */
const treeAt = (files: LocalFiles, path: string): readonly unknown[] =>
  [...files]
    .filter(([name]) => name === path || name.startsWith(`${path}/`))
    .map(([name, entry]) => [name.slice(path.length), ...summaryOf(entry)])
    .sort(([one], [other]) => (String(one) < String(other) ? -1 : 1))

type Definitions = Readonly<Record<string, unknown>> | undefined

/** Returns a config or secret: its definition, and the content that the definition refers to. */
function contentOf(
  definitions: Definitions,
  name: string,
  { files, fileOf, env }: InputSources,
): readonly unknown[] {
  const definition = definitions?.[name] as
    | { readonly file?: string; readonly environment?: string }
    | undefined
  const path = definition?.file === undefined ? undefined : fileOf(definition.file)
  // The path of a file may differ between hosts, so only its content is compared.
  const { file: _path, ...rest } = definition ?? {}
  return [
    name,
    path === undefined ? definition : rest,
    ...(path === undefined ? [] : [treeAt(files, path)]),
    ...(definition?.environment === undefined ? [] : [env[definition.environment] ?? null]),
  ]
}

const sourcesIn = (items: readonly { readonly source?: string }[] | undefined): string[] =>
  (items ?? []).flatMap(({ source }) => source ?? [])

const define = (definitions: Definitions, names: readonly string[]): readonly unknown[] =>
  names.map((name) => [name, definitions?.[name] ?? null])

function inputsOf(
  model: StackModel,
  service: StackService,
  sources: InputSources,
): readonly unknown[] {
  const { volumes = [], networks = {}, configs, secrets } = service
  const mounts = volumes.flatMap(({ type, source = '' }) => {
    const path = type === 'bind' ? sources.fileOf(source) : undefined
    return path === undefined ? [] : [treeAt(sources.files, path)]
  })
  const named = sourcesIn(volumes.filter(({ type }) => type === 'volume'))
  return [
    mounts,
    define(model.networks, Object.keys(networks)),
    define(model.volumes, named),
    sourcesIn(configs).map((name) => contentOf(model.configs, name, sources)),
    sourcesIn(secrets).map((name) => contentOf(model.secrets, name, sources)),
  ]
}

const isEmpty = (inputs: readonly unknown[]): boolean =>
  inputs.every((part) => Array.isArray(part) && part.length === 0)

/**
 * For each service, returns a digest of the inputs that Compose's hash does not cover: mounted local files, contents of
 * configs and secrets, and definitions of networks and volumes. A service without such inputs has no digest.
 */
export function digestInputs(
  model: StackModel,
  sources: InputSources,
): ReadonlyMap<string, string> {
  const digests = new Map<string, string>()
  for (const [name, service] of Object.entries(model.services)) {
    const inputs = inputsOf(model, service, sources)
    if (isEmpty(inputs)) continue
    const hash = createHash('sha256').update(JSON.stringify(inputs)).digest('hex')
    digests.set(name, hash)
  }
  return digests
}
