import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../errors.ts'
import { ignored } from '../../os/trace.ts'

/** Where driver packages are looked for, and who decides whether their code may run. */
export interface DriverPlace {
  /** The inventory's folder. Packages installed in it, or in a folder above it, are found. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
  /**
   * Called before any code of a package runs that was found from the inventory's folder: such a package may have come with a
   * clone. Resolves to the folder whose node_modules the package is loaded from; rejects to refuse it.
   */
  readonly vet: (driverPackage: DriverPackage) => Promise<string>
}

/** A package that should hold a driver. None of its code has run. */
export interface DriverPackage {
  /** `fleet-driver-NAME`. */
  readonly name: string
  /** Its real path. */
  readonly folder: string
  /** The folder whose node_modules it is in. */
  readonly holder: string
  /** Whether it is one of npm's global packages, which the person installed: a clone cannot bring one. */
  readonly isGlobal: boolean
}

/** A name that makes a package's name and no path. */
const namePattern = /^[a-z0-9][a-z0-9._-]*$/

export function* foldersUpFrom(folder: string): Generator<string> {
  yield folder
  const parent = dirname(folder)
  if (parent !== folder) yield* foldersUpFrom(parent)
}

/** The folder whose node_modules holds npm's global packages, under a prefix of npm's. */
const holderUnder = (prefix: string): string =>
  process.platform === 'win32' ? prefix : join(prefix, 'lib')

/** The prefix whose program `path` is. */
const prefixOf = (path: string): string =>
  process.platform === 'win32' ? dirname(path) : dirname(dirname(path))

/**
 * Where global packages can be: under the prefix that npm is configured with, the one that fleet was started
 * from, that of the running Node.js (npm's own default), and beside fleet itself.
 */
function globalHolders(env: DriverPlace['env']): string[] {
  const configured = [env['npm_config_prefix'], env['PREFIX']]
  const started = [process.argv[1], process.execPath].map((path) => path && prefixOf(path))
  return [
    // One that is relative would be a folder of whichever clone the person works in.
    ...[...configured, ...started].flatMap((prefix) =>
      prefix && isAbsolute(prefix) ? [holderUnder(prefix)] : [],
    ),
    ...foldersUpFrom(dirname(fileURLToPath(import.meta.url))),
  ]
}

/** Whose files this user may run code of: their own, root's, and those of the user who called sudo. */
function isTrustedOwner(uid: number, env: DriverPlace['env']): boolean {
  const me = process.getuid?.()
  const sudoer = me === 0 ? Number(env['SUDO_UID'] || Number.NaN) : Number.NaN
  return me === undefined || uid === me || uid === 0 || uid === sudoer
}

const mayEverybodyWrite = (mode: number): boolean =>
  process.platform !== 'win32' && (mode & 0o002) !== 0

async function checkOwners(
  { name, folder, holder }: DriverPackage,
  env: DriverPlace['env'],
): Promise<void> {
  for (const path of [join(holder, 'node_modules'), folder]) {
    const { uid, mode } = await stat(path)
    const why = !isTrustedOwner(uid, env)
      ? `${path} belongs to another user`
      : mayEverybodyWrite(mode)
        ? `every user can write to ${path}`
        : undefined
    if (why === undefined) continue
    throw new UserError('failed', `the code of ${name} in ${folder} was not run: ${why}`, {
      hint: 'install the package yourself, next to the inventory or globally',
    })
  }
}

/**
 * Finds the package of the driver `name` as Node.js would from the inventory's folder, else among the
 * global ones. Only looks: lists no folder and runs nothing. Throws kind `failed` where another user
 * could have put the package there.
 */
export async function findDriverPackage(
  name: string,
  { folder, env }: Pick<DriverPlace, 'folder' | 'env'>,
): Promise<DriverPackage | undefined> {
  if (!namePattern.test(name)) return undefined
  const packageName = `fleet-driver-${name}`
  const holders = [
    ...Array.from(foldersUpFrom(folder), (holder) => ({ holder, isGlobal: false })),
    ...globalHolders(env).map((holder) => ({ holder, isGlobal: true })),
  ]
  for (const place of holders) {
    const path = join(place.holder, 'node_modules', packageName)
    const manifest = await stat(join(path, 'package.json')).catch(
      ignored('driver', 'look for the driver package'),
    )
    if (manifest === undefined) continue
    const found = { name: packageName, folder: await realpath(path), ...place }
    await checkOwners(found, env)
    return found
  }
  return undefined
}
