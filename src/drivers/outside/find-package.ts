import { realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../errors.ts'

/** Where drivers from outside are looked for. */
export interface DriverPlace {
  /** The inventory's. Packages count that are installed in it, or in a folder above it. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A package that is to hold a driver. None of its code has run. */
export interface DriverPackage {
  /** `fleet-driver-NAME`. */
  readonly name: string
  /** Where it is. */
  readonly folder: string
  /** The folder whose node_modules it is in. */
  readonly holder: string
}

/** A name that makes a package's name and no path. */
const namePattern = /^[a-z0-9][a-z0-9._-]*$/

function* foldersUpFrom(folder: string): Generator<string> {
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
 * Where global packages can be: under the prefix that npm was told, the one that fleet was started
 * from, that of the running Node.js (npm's own default), and beside fleet itself.
 */
function globalHolders(env: DriverPlace['env']): string[] {
  const told = [env['npm_config_prefix'], env['PREFIX']]
  const started = [process.argv[1], process.execPath].map((path) => path && prefixOf(path))
  return [
    ...[...told, ...started].flatMap((prefix) => (prefix ? [holderUnder(prefix)] : [])),
    ...foldersUpFrom(dirname(fileURLToPath(import.meta.url))),
  ]
}

/** Who may have put code there for us to run: we, the system, and whoever called sudo. */
function isTrustedOwner(uid: number): boolean {
  const me = process.getuid?.()
  const sudoer = me === 0 ? Number(process.env['SUDO_UID']) : Number.NaN
  return me === undefined || uid === me || uid === 0 || uid === sudoer
}

async function checkOwners({ name, folder, holder }: DriverPackage): Promise<void> {
  for (const path of [join(holder, 'node_modules'), folder]) {
    if (isTrustedOwner((await stat(path)).uid)) continue
    throw new UserError('failed', `${name} in ${folder} is not run: ${path} is another user's`, {
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
  { folder, env }: DriverPlace,
): Promise<DriverPackage | undefined> {
  if (!namePattern.test(name)) return undefined
  const packageName = `fleet-driver-${name}`
  for (const holder of [...foldersUpFrom(folder), ...globalHolders(env)]) {
    const path = join(holder, 'node_modules', packageName)
    const manifest = await stat(join(path, 'package.json')).catch(() => undefined)
    if (manifest === undefined) continue
    const found = { name: packageName, folder: await realpath(path), holder }
    await checkOwners(found)
    return found
  }
  return undefined
}
