import { UserError } from '../../errors.ts'
import type { CommandResult } from '../../transport/run.ts'
import {
  type LocalPaths,
  findLocalPaths,
  localFileOf,
  mapPaths,
  parseModel,
  plainText,
} from '../compose/project-model.ts'
import { checkLocalPaths } from '../compose/check-local-paths.ts'
import { hideRoot } from '../compose/hide-root.ts'
import { type LocalEntry, type LocalFiles, readLocalFiles } from '../compose/read-local-files.ts'
import type { AskConfig } from '../compose/resolve-model.ts'
import { type Root, localPath } from '../compose/rooted-paths.ts'
import { type StackBuilds, findBuilds } from './builds/service-builds.ts'
import { digestInputs } from './service-inputs.ts'
import { type StackFiles, storedPath } from './stack-files.ts'
import { type StackModel, deployedModel } from './stack-model.ts'

/** The place where Compose resolves the files of a stack: this computer, or a host. */
export interface ResolvePlace {
  /** The directory below which Compose sees the local files. */
  readonly root: Root
  readonly ask: AskConfig
}

/** A stack that Compose has resolved. */
export interface ResolvedStack {
  /** All local files and directories that Compose reads or that are copied to hosts. */
  readonly taken: readonly string[]
  /** The files to copy, keyed by path below the root of the stack's directory on a host. */
  readonly files: LocalFiles
  /** Sockets and other special files in mounted directories, which are not copied. */
  readonly skipped: readonly string[]
  readonly paths: LocalPaths
  /** The images that are built before the stack is deployed. */
  readonly builds: StackBuilds
  /** Returns the model to deploy if the files are below `root` on a host. */
  modelFor(root: string): StackModel
}

const failure = (root: Root, stack: string, { code, stderr }: CommandResult): UserError => {
  const why = hideRoot(root, stderr.trim()) || `exit code ${code}`
  return new UserError('failed', `Compose cannot read stack ${stack}: ${why}`)
}

async function askModel(
  { ask, root }: ResolvePlace,
  stack: string,
  words: readonly string[],
): Promise<StackModel> {
  const answer = await ask(['--format', 'json', ...words])
  const model =
    answer.code === 0 ? (parseModel(answer.stdout) as StackModel | undefined) : undefined
  if (model === undefined) throw failure(root, stack, answer)
  return { ...model, services: model.services ?? {} }
}

/**
 * Returns the files whose contents Compose inserts into a model. Throws kind `unsupported` for a path that contains a
 * variable, because fleet cannot know which file it names.
 */
function filesReadFor({ services }: StackModel, root: Root, stack: string): readonly string[] {
  const named = Object.entries(services).flatMap(
    ([service, { env_file = [], label_file = [] }]) => [
      ...env_file.map(({ path = '' }) => ({ service, path, key: 'env_file' })),
      ...[label_file].flat().map((path) => ({ service, path, key: 'label_file' })),
    ],
  )
  return named.map(({ service, path, key }) => {
    if (!path.replaceAll('$$', '').includes('$')) {
      const plain = plainText(path)
      return localPath(root, plain) ?? plain
    }
    throw new UserError(
      'unsupported',
      `stack ${stack}: in service ${service}, the ${key} path contains a variable`,
      { hint: "write the path without variables; use the stack's env file for values that vary" },
    )
  })
}

/** Keys that would make Compose use programs or logins on this computer, and the reasons for refusing them. */
const refusedKeys = {
  models: 'runs a program on this computer',
  provider: 'runs a program on this computer',
  use_api_socket: "sends this computer's registry logins to the container",
} as const

/**
 * Throws kind `failed` for a model without services, and `unsupported` for a model that would use programs or logins on
 * this computer.
 */
function checkModel({ services }: StackModel, stack: string): void {
  if (Object.keys(services).length === 0) {
    throw new UserError('failed', `stack ${stack} has no enabled services`, {
      hint: `enable profiles in machines.yaml: stacks.${stack}.profiles`,
    })
  }
  for (const [name, service] of Object.entries(services)) {
    for (const [key, why] of Object.entries(refusedKeys)) {
      if (!service[key]) continue
      throw new UserError(
        'unsupported',
        `stack ${stack}: service ${name} sets ${key}, which ${why}`,
        {
          hint: 'run the stack with fleet compose instead',
        },
      )
    }
  }
}

/**
 * Resolves a stack with Compose, and reads the files that its containers mount. Nothing is sent to hosts if Compose
 * runs on this computer. Throws kind `failed` with Compose's message.
 */
export async function resolveStack(
  { stack: { name }, folder, project, inputs, home, variables }: StackFiles,
  place: ResolvePlace,
): Promise<ResolvedStack> {
  const { root } = place
  const [written, model] = await Promise.all([
    askModel(place, name, ['--no-interpolate']),
    askModel(place, name, []),
  ])
  const read = filesReadFor(written, root, name)
  checkModel(model, name)
  const subject = `stack ${name}: `
  await checkLocalPaths(model, { root, folder: project.folder, home, subject })
  const paths = findLocalPaths(model, { root, folder: project.folder })
  const { files: found, skipped } = await readLocalFiles({ mounts: paths.mounts })
  const files = new Map<string, LocalEntry>(
    [...found.values()].map((entry) => [storedPath(folder, entry.file), entry]),
  )
  const builds = await findBuilds(model, { root, folder, projectFolder: project.folder })
  const contexts = paths.contexts.flatMap(({ folder: context, dockerfile }) =>
    dockerfile === undefined ? [context] : [context, dockerfile],
  )
  const taken = new Set([
    ...inputs.files.keys(),
    ...read,
    ...paths.mounts,
    ...paths.files,
    ...contexts,
  ])
  return {
    taken: [...taken],
    files,
    skipped,
    paths,
    builds,
    modelFor(rootOnHost) {
      const mapped = mapPaths(model, (path) => {
        const local = localFileOf(root, project.folder, path)
        return local === undefined ? path : `${rootOnHost}/${storedPath(folder, local)}`
      }) as StackModel
      const fileOf = (path: string): string | undefined =>
        path.startsWith(`${rootOnHost}/`) ? plainText(path.slice(rootOnHost.length + 1)) : undefined
      const inputs = digestInputs(mapped, { files, fileOf, env: variables })
      return deployedModel(mapped, inputs, builds.images)
    },
  }
}
