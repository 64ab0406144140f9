import { lstat, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import type { Trust, TrustedInventory } from '../home/trust.ts'
import { trace } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/** File name of an inventory. */
export const inventoryFileName = 'machines.yaml'

interface Search {
  /** The path in `--inventory` or `$FLEET_INVENTORY`. */
  readonly named: string | undefined
  readonly cwd: string
  readonly home: string
  readonly env: Environment
  /** Loads the trust records, which are needed for another user's inventory. */
  readonly trust: () => Promise<Pick<Trust, 'read'>>
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

function* foldersUpFrom(folder: string): Generator<string> {
  const parent = dirname(folder)
  yield folder
  if (parent !== folder) yield* foldersUpFrom(parent)
}

/** Returns the nearest machines.yaml in `cwd` or a parent directory, regardless of its owner. */
export async function nearestInventory(cwd: string): Promise<string | undefined> {
  for (const folder of foldersUpFrom(resolve(cwd))) {
    const path = join(folder, inventoryFileName)
    if (await exists(path)) return path
  }
  return undefined
}

/**
 * Describes another user who can change a file: its owner, or everyone; `undefined` if only this
 * user and root can.
 */
async function findForeignWriter(path: string, env: Environment): Promise<string | undefined> {
  const me = process.getuid?.()
  if (me === undefined) return undefined
  // With sudo, files of the user who called sudo are trusted, as in git.
  const sudoer = me === 0 && env['SUDO_UID'] ? Number(env['SUDO_UID']) : me
  const { uid, mode } = await lstat(path)
  if (uid !== me && uid !== 0 && uid !== sudoer)
    return `${path} belongs to another user (UID ${uid})`
  const [isLink, isSticky] = [(mode & 0o170000) === 0o120000, (mode & 0o1000) !== 0]
  const isOpen = (mode & 0o002) !== 0 && !isLink && !isSticky
  return isOpen ? `every user can write to ${path}` : undefined
}

/**
 * Throws kind `inventory` for a pipe or a device, which may be endless. A directory is reported when
 * it is read.
 */
async function checkKind(path: string): Promise<void> {
  const found = await stat(path)
  if (found.isFile() || found.isDirectory()) return
  throw new UserError('inventory', `the inventory ${path} is not used: it is not a regular file`, {
    hint: `replace this inventory with a regular file; to use the inventory for one command: --inventory ${shellQuote(path)}`,
  })
}

/**
 * Throws kind `inventory` if another user could have created the inventory that the search found:
 * it would determine which hosts commands connect to (like CVE-2022-24765 in git, the reason for
 * safe.directory). Checks the owner and permissions of the file, its directory, and the target of a
 * link. root is trusted.
 */
async function checkOwners(path: string, { env, trust }: Search): Promise<void> {
  const real = await realpath(path)
  let foreignWriter: string | undefined
  for (const place of new Set([path, dirname(path), real, dirname(real)])) {
    foreignWriter ??= await findForeignWriter(place, env)
  }
  if (foreignWriter === undefined) return
  const { uid: owner } = await stat(real)
  const isTrusted = (one: TrustedInventory) => one.inventory === real && one.owner === owner
  const { inventories } = await (await trust()).read()
  if (inventories.some(isTrusted)) return
  throw new UserError('inventory', `the inventory ${path} is not used: ${foreignWriter}`, {
    hint: `if you trust everyone who can change the file: fleet trust inventory ${shellQuote(path)}; to use the file for one command: --inventory ${shellQuote(path)}`,
  })
}

/**
 * Returns the path of the inventory: the explicit path, else the nearest machines.yaml in `cwd` or a parent directory,
 * else the one in home. If it does not exist, reading it fails with a hint to run `fleet init`. Throws kind `inventory`
 * for a file that another user may have created and for one that is not a regular file, unless it is explicit.
 */
export async function findInventory(search: Search): Promise<string> {
  const { named, cwd, home } = search
  if (named) return resolve(cwd, named)
  const nearest = await nearestInventory(cwd)
  if (nearest === undefined) return join(home, inventoryFileName)
  trace('inventory', `found ${nearest}`)
  await checkOwners(nearest, search)
  await checkKind(nearest)
  return nearest
}
