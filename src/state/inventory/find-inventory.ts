import { lstat, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import type { Environment } from '../home/locate-home.ts'
import type { Trust, TrustedInventory } from '../home/trust.ts'
import { trace } from '../../os/trace.ts'

/** The name of an inventory's file. */
export const inventoryFileName = 'machines.yaml'

interface Search {
  /** What `--inventory` or `$FLEET_INVENTORY` says. */
  readonly told: string | undefined
  readonly cwd: string
  readonly home: string
  readonly env: Environment
  /** What this person trusts; asked only about an inventory of another user. */
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

/** The nearest machines.yaml from `cwd` upwards, whoever it belongs to. */
export async function nearestInventory(cwd: string): Promise<string | undefined> {
  for (const folder of foldersUpFrom(resolve(cwd))) {
    const path = join(folder, inventoryFileName)
    if (await exists(path)) return path
  }
  return undefined
}

/** Who owns a file and may so decide what is in it, and who else may. Nothing where this person trusts all of them. */
async function findStranger(path: string, env: Environment): Promise<string | undefined> {
  const me = process.getuid?.()
  if (me === undefined) return undefined
  // Who became root by sudo works with the files of the user they were, as git lets them.
  const sudoer = me === 0 && env['SUDO_UID'] ? Number(env['SUDO_UID']) : me
  const { uid, mode } = await lstat(path)
  if (uid !== me && uid !== 0 && uid !== sudoer) return `${path} belongs to user ${uid}`
  const [isLink, isSticky] = [(mode & 0o170000) === 0o120000, (mode & 0o1000) !== 0]
  const isOpen = (mode & 0o002) !== 0 && !isLink && !isSticky
  return isOpen ? `every user may write to ${path}` : undefined
}

/** Throws kind `inventory` for a pipe or a device, which may never answer; a folder gets its own words when it is read. */
async function checkKind(path: string): Promise<void> {
  const found = await stat(path)
  if (found.isFile() || found.isDirectory()) return
  throw new UserError('inventory', `the inventory ${path} is not used: it is not a regular file`, {
    hint: `replace it by a file; for one command: --inventory ${shellQuote(path)}`,
  })
}

/**
 * Throws kind `inventory` where another user could have put an inventory there that was merely found: they would decide
 * which hosts this person's commands reach (CVE-2022-24765 was the same in git, whose safe.directory came of it). It counts
 * who owns the file, the folder, and what a link leads to, and whether everybody may write there; root may anyway.
 */
async function checkOwners(path: string, { env, trust }: Search): Promise<void> {
  const real = await realpath(path)
  let stranger: string | undefined
  for (const place of new Set([path, dirname(path), real, dirname(real)])) {
    stranger ??= await findStranger(place, env)
  }
  if (stranger === undefined) return
  const { uid: owner } = await stat(real)
  const isTrusted = (one: TrustedInventory) => one.inventory === real && one.owner === owner
  const { inventories } = await (await trust()).read()
  if (inventories.some(isTrusted)) return
  throw new UserError('inventory', `the inventory ${path} is not used: ${stranger}`, {
    hint: `if you trust whoever can change it: fleet trust inventory ${shellQuote(path)}; for one command: --inventory ${shellQuote(path)}`,
  })
}

/**
 * The file of the inventory that applies: the one told, else the nearest machines.yaml from `cwd`
 * upwards, else the one in home. One that does not exist is an error only when it is read, with the
 * advice to run `fleet init`. Throws kind `inventory` for one that another user may have put there and for one that is no
 * file, unless it was told.
 */
export async function findInventory(search: Search): Promise<string> {
  const { told, cwd, home } = search
  if (told) return resolve(cwd, told)
  const nearest = await nearestInventory(cwd)
  if (nearest === undefined) return join(home, inventoryFileName)
  trace('inventory', `found ${nearest}`)
  await checkOwners(nearest, search)
  await checkKind(nearest)
  return nearest
}
