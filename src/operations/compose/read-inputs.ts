import { dirname, isAbsolute, join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { UserError } from '../../errors.ts'
import { variablesOfHost } from '../docker/on-host/host-docker.ts'
import { type ComposeProject, isFile, isRemote, readLocalFile } from './find-project.ts'
import { interpolate } from './interpolate.ts'
import { isWithin } from './rooted-paths.ts'
import { type ScannedFile, scanComposeFile } from './scan-compose-file.ts'
import type { Environment } from '../../os/environment.ts'

/**
 * The local files from which Compose, running on a host, reads a project. The host reports missing files and the
 * project's paths. Because the host is not trusted, it may only report paths that one of these files names.
 */
export interface ComposeInputs {
  /** The contents of the files, keyed by path. */
  readonly files: ReadonlyMap<string, Buffer>
  /** Whether some file that Compose may read was not found. If so, Compose must report which file it needs. */
  readonly isUncertain: boolean
  /**
   * Files whose `include` contains a variable, an alias or a merge key, so Compose may also read files that are not in
   * `files`.
   */
  readonly openIncludes: readonly string[]
  /** Adds a file that Compose needs, if it exists and these files name it. Resolves to whether it was added. */
  add(path: string): Promise<boolean>
  /** Whether these files name a path; `below` lists additional base directories for relative paths. */
  names(path: string, below?: readonly string[]): boolean
  /** The variables of `env` that these files or `words` may use, and those that configure Compose. */
  variables(env: Environment, words: readonly string[]): Record<string, string>
}

/** The parts of a value that may be paths: `./a:/b:ro`, `name=../c`, `type=local,src=d`. */
const piecesOf = (text: string): string[] => [text, ...text.split(/[:=,]/)]

const wordsOf = (text: string): string[] => text.match(/[A-Za-z_]\w*/g) ?? []

/** Reads the input files of a project. Throws kind `failed` for a Compose file that cannot be read. */
export async function readInputs(
  project: ComposeProject,
  {
    env: shell,
    cwd,
    stdin,
    machine,
  }: { env: Environment; cwd: string; stdin: string | undefined; machine: string },
): Promise<ComposeInputs> {
  const files = new Map<string, Buffer>()
  const scans: { readonly folder: string; readonly scan: ScannedFile }[] = []
  const folders = new Set([project.folder])
  const openIncludes: string[] = []
  const used = new Set(wordsOf(stdin ?? ''))
  let isUncertain = false
  const env: Environment = { ...shell, PWD: cwd } // Compose sets PWD to this directory, too
  let values = env

  const take = async (file: string): Promise<string> => {
    const content = await readLocalFile(file)
    files.set(file, content)
    const text = content.toString('utf8')
    for (const word of wordsOf(text)) used.add(word)
    return text
  }
  const takeVariables = async (file: string): Promise<void> => {
    if (files.has(file) || !(await isFile(file))) return
    values = { ...values, ...parseEnv(await take(file)), ...env }
  }
  const basesOf = (folder: string): string[] => [...new Set([folder, ...folders])]

  /** Reads the files that a value may name; there may be several, because the base directory is unknown. */
  const takeNamed = async (text: string, folder: string): Promise<void> => {
    const path = interpolate(text, values)
    if (path === '' || path === '/dev/null' || isRemote(path)) return
    if (isAbsolute(path)) {
      if (await isFile(path)) throw readThere(path, machine)
      return
    }
    let isFound = false
    for (const base of basesOf(folder)) {
      const file = resolve(base, path)
      if (!(await isFile(file))) continue
      isFound = true
      await takeCompose(file)
    }
    isUncertain ||= !isFound
  }
  const takeScanned = async (text: string, folder: string, file = '-'): Promise<void> => {
    const scan = scanComposeFile(text)
    scans.push({ folder, scan })
    if (scan.hasOpenInclude) openIncludes.push(file)
    for (const named of scan.folders) {
      const path = resolve(folder, interpolate(named, values))
      folders.add(path)
      await takeVariables(join(path, '.env'))
    }
    for (const named of scan.reads) await takeNamed(named, folder)
  }
  const takeCompose = async (file: string): Promise<void> => {
    if (files.has(file)) return
    await takeVariables(join(dirname(file), '.env'))
    await takeScanned(await take(file), dirname(file), file)
  }

  for (const file of project.envFiles) await takeVariables(file)
  for (const file of project.files) {
    if (file === '-') await takeScanned(stdin ?? '', project.folder)
    else if (!isRemote(file)) await takeCompose(file)
  }

  const names: ComposeInputs['names'] = (path, below = []) =>
    files.has(path) ||
    scans.some(({ folder, scan }) =>
      scan.texts.some((text) =>
        piecesOf(interpolate(text, values)).some((piece) =>
          isAbsolute(piece)
            ? isWithin(project.folder, piece) && resolve(piece) === path
            : piece !== '' &&
              [...basesOf(folder), ...below].some((base) => resolve(base, piece) === path),
        ),
      ),
    )

  return {
    files,
    openIncludes,
    get isUncertain() {
      return isUncertain
    },
    async add(path) {
      if (files.has(path) || !names(path) || !(await isFile(path))) return false
      await takeCompose(path)
      return true
    },
    names,
    variables(environment, words) {
      const wanted = new Set(['HOME', ...used, ...words.flatMap(wordsOf)])
      const picked: Record<string, string> = {}
      for (const [name, value] of Object.entries(environment)) {
        const isWanted = wanted.has(name) || /^(?:BUILDKIT|BUILDX|COMPOSE|DOCKER)_/.test(name)
        if (value !== undefined && isWanted && !variablesOfHost.has(name)) picked[name] = value
      }
      return picked
    },
  }
}

const readThere = (path: string, machine: string): UserError =>
  new UserError('unsupported', `Compose on ${machine} cannot read ${path} on this computer`, {
    machine,
    hint: 'use a path relative to the Compose file, or install the Docker CLI on this computer',
  })
