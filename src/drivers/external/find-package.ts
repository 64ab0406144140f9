import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../errors.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/** Where to search for driver packages, and how to decide whether their code may run. */
export interface DriverSearch {
  /** The inventory's directory. Packages in its node_modules, or in those of parent directories, are found. */
  readonly folder: string
  readonly env: Environment
  /**
   * Called before running code of a package that was found from the inventory's directory, because the package may have
   * come with a clone. Resolves to the directory from whose node_modules the package is loaded; rejects if the package
   * is not trusted.
   */
  readonly checkTrust: (driverPackage: DriverPackage) => Promise<string>
}

/** A package that should contain a driver. None of its code has run. */
export interface DriverPackage {
  /** `fleet-driver-NAME`. */
  readonly name: string
  /** The package's real path. */
  readonly folder: string
  /** The directory that contains its node_modules directory. */
  readonly holder: string
  /** Whether the package is installed globally. Only the user can install global packages; a clone cannot add one. */
  readonly isGlobal: boolean
}

/** Pattern for a name that can be part of a package name and cannot be a path. */
const namePattern = /^[a-z0-9][a-z0-9._-]*$/

export function* foldersUpFrom(folder: string): Generator<string> {
  yield folder
  const parent = dirname(folder)
  if (parent !== folder) yield* foldersUpFrom(parent)
}

/** Returns the directory that contains the node_modules of global packages, for an npm prefix. */
const holderUnder = (prefix: string): string =>
  process.platform === 'win32' ? prefix : join(prefix, 'lib')

/** Returns the npm prefix from which the program at `path` was started. */
const prefixOf = (path: string): string =>
  process.platform === 'win32' ? dirname(path) : dirname(dirname(path))

/**
 * Returns directories whose node_modules can contain global packages: the configured npm prefix, the prefix that fleet
 * was started from, the prefix of the running Node.js (npm's default), and the directories above fleet itself.
 */
function globalHolders(env: DriverSearch['env']): string[] {
  const configured = [env['npm_config_prefix'], env['PREFIX']]
  const started = [process.argv[1], process.execPath].map((path) => path && prefixOf(path))
  return [
    // A relative prefix would be a directory in the clone that the user is working in.
    ...[...configured, ...started].flatMap((prefix) =>
      prefix && isAbsolute(prefix) ? [holderUnder(prefix)] : [],
    ),
    ...foldersUpFrom(dirname(fileURLToPath(import.meta.url))),
  ]
}

/**
 * Whether the user can safely run code that this user ID owns: their own ID, root's, or the ID of the user who called
 * sudo.
 */
function isTrustedOwner(uid: number, env: DriverSearch['env']): boolean {
  const me = process.getuid?.()
  const sudoer = me === 0 ? Number(env['SUDO_UID'] || Number.NaN) : Number.NaN
  return me === undefined || uid === me || uid === 0 || uid === sudoer
}

const isWorldWritable = (mode: number): boolean =>
  process.platform !== 'win32' && (mode & 0o002) !== 0

async function checkOwners(
  { name, folder, holder }: DriverPackage,
  env: DriverSearch['env'],
): Promise<void> {
  for (const path of [join(holder, 'node_modules'), folder]) {
    const { uid, mode } = await stat(path)
    const reason = !isTrustedOwner(uid, env)
      ? `${path} is owned by another user`
      : isWorldWritable(mode)
        ? `${path} is writable by all users`
        : undefined
    if (reason === undefined) continue
    throw new UserError('failed', `the package ${name} in ${folder} was not loaded: ${reason}`, {
      hint: 'install the package yourself, next to the inventory or globally',
    })
  }
}

/**
 * Finds the package of the driver `name`, as Node.js would from the inventory's directory, and otherwise among global
 * packages. Does not list any directory or run any code. Throws kind `failed` if another user could have put the
 * package there.
 */
export async function findDriverPackage(
  name: string,
  { folder, env }: Pick<DriverSearch, 'folder' | 'env'>,
): Promise<DriverPackage | undefined> {
  if (!namePattern.test(name)) return undefined
  const packageName = `fleet-driver-${name}`
  const holders = [
    ...Array.from(foldersUpFrom(folder), (holder) => ({ holder, isGlobal: false })),
    ...globalHolders(env).map((holder) => ({ holder, isGlobal: true })),
  ]
  for (const candidate of holders) {
    const path = join(candidate.holder, 'node_modules', packageName)
    const manifest = await stat(join(path, 'package.json')).catch(
      ignored('driver', 'look for the driver package'),
    )
    if (manifest === undefined) continue
    const found = { name: packageName, folder: await realpath(path), ...candidate }
    await checkOwners(found, env)
    return found
  }
  return undefined
}

/** The error thrown if a command requires a driver whose code the user does not trust yet. */
export class UntrustedDriver extends UserError {}
