import { realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { readCommand } from '../../docker/verbs.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Stack } from '../../machine/stacks.ts'
import { type Environment, homeOf } from '../../os/environment.ts'
import { type ComposeCommand, readCompose } from '../compose/compose-words.ts'
import { type ComposeProject, findProject } from '../compose/find-project.ts'
import { type ComposeInputs, readInputs } from '../compose/read-inputs.ts'
import { isWithin, localPath, slashed } from '../compose/rooted-paths.ts'

/** The Compose files of a stack, before Compose has read them. */
export interface StackFiles {
  readonly stack: Stack
  /** The directory of the inventory, with symbolic links resolved. */
  readonly folder: string
  readonly command: ComposeCommand
  readonly project: ComposeProject
  readonly inputs: ComposeInputs
  /** The home directory of the user. */
  readonly home: string
  /** The shell variables that the files use. Compose gets no other shell variables. */
  readonly variables: Readonly<Record<string, string>>
}

/** Whether a variable changes the behavior of Compose or Docker, or is one that fleet sets. */
const isSetting = (name: string): boolean => /^(?:BUILDKIT|BUILDX|COMPOSE|DOCKER|FLEET)_/.test(name)

/** Returns the Compose command line for a stack, with absolute paths. */
function commandOf({ name, files, envFiles, profiles }: Stack, folder: string): ComposeCommand {
  const paths = files.map((file) => join(folder, file))
  const [main = folder] = paths
  const read = readCommand([
    ...['compose', `--project-name=${name}`, `--project-directory=${dirname(main)}`],
    ...paths.map((path) => `--file=${path}`),
    ...envFiles.map((file) => `--env-file=${join(folder, file)}`),
    ...profiles.map((profile) => `--profile=${profile}`),
    'up',
  ])
  if (read === undefined) throw new Error('not a compose command')
  return readCompose(read)
}

/**
 * Reads the files from which Compose will resolve a stack. `location` is the path of the inventory. Throws kind
 * `failed` for a file that cannot be read, and `unsupported` for an `include` that only Compose could resolve, because
 * Compose runs on this computer, and another user may have written the Compose file.
 */
export async function readStackFiles(
  location: string,
  stack: Stack,
  env: Environment,
): Promise<StackFiles> {
  const folder = await realpath(dirname(resolve(location)))
  const command = commandOf(stack, folder)
  const { COMPOSE_FILE: _files, COMPOSE_ENV_FILES: _envFiles, ...shell } = env
  const project = await findProject(command.flags, { env: shell, cwd: folder })
  const machine = 'the host'
  const inputs = await readInputs(project, { env: shell, cwd: folder, stdin: undefined, machine })
  const [open] = inputs.openIncludes
  if (open !== undefined) {
    throw new UserError(
      'unsupported',
      `stack ${stack.name}: "include" in ${open} contains a variable, an alias, or a merge key`,
      { hint: 'write the paths to the included files without variables, aliases, or merge keys' },
    )
  }
  const used = Object.entries(inputs.variables(shell, []))
  const variables = Object.fromEntries(used.filter(([name]) => !isSetting(name)))
  return { stack, folder, command, project, inputs, home: homeOf(env), variables }
}

/**
 * Returns the variables that fleet sets for the Compose files of a stack on a machine: FLEET_MACHINE, FLEET_ADDRESS
 * (empty for this computer, and for a host that does not exist yet), and FLEET_LABEL_KEY for each label, where KEY is
 * in upper case and `_` replaces characters other than letters and digits.
 */
export function machineVariables({ name, host, labels = {} }: Machine): Record<string, string> {
  const ofLabels = Object.entries(labels).map(
    ([key, value]) =>
      [`FLEET_LABEL_${key.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`, value] as const,
  )
  return {
    FLEET_MACHINE: name,
    FLEET_ADDRESS: host?.address ?? '',
    ...Object.fromEntries(ofLabels),
  }
}

/**
 * Returns the variables of a machine that the files of a stack use. The machine's other variables are not set, so that
 * machines can share a model.
 */
export const usedVariables = (
  { inputs }: Pick<StackFiles, 'inputs'>,
  machine: Machine,
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(inputs.variables(machineVariables(machine), [])).filter(([name]) =>
      name.startsWith('FLEET_'),
    ),
  )

/**
 * Returns the path of a local file below the root of a stack's directory on hosts. The path is the same for all clones
 * of the inventory's repository, because containers are recreated when the path of a mount changes.
 */
export function storedPath(folder: string, file: string): string {
  if (!isWithin(folder, file)) return `outside/${slashed(file).replace(/^\//, '')}`
  const below = relative(folder, file).split(sep).join('/')
  return below === '' ? 'files' : `files/${below}`
}

/** Returns the local file for a path returned by {@link storedPath}. */
export function localFileAt(folder: string, stored: string): string {
  const [, outside] = /^outside(\/.*)$/s.exec(stored) ?? []
  const local = outside === undefined ? undefined : localPath('', outside)
  return local ?? join(folder, stored.slice('files/'.length))
}
