import { readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isBuiltIn } from '../../drivers/driver-names.ts'
import { unknownDriver } from '../../drivers/index.ts'
import { type DriverPackage, findDriverPackage } from '../../drivers/external/find-package.ts'
import { type PackageDigest, copiesOf, digestPackage } from '../../drivers/external/package-copy.ts'
import { UserError } from '../../errors.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type {
  AllowedPath,
  AllowedVariable,
  TrustedAlias,
  TrustedDriver,
} from '../../state/home/trust.ts'
import { ignored } from '../../os/trace.ts'
import { type TrustContext, nameOf, prefix, recordsOf } from './check-driver-trust.ts'
import { inventoryKey } from './inventory-key.ts'

/** The external drivers that an inventory uses. */
const packagedDrivers = ({ machines, profiles, defaults }: Inventory): readonly string[] => {
  const named = [...machines.values(), ...profiles.values()].flatMap(({ driver }) => driver ?? [])
  const all = new Set([...named, ...Object.keys(defaults)])
  return [...all].filter((name) => !isBuiltIn(name))
}

const findPackage = async (
  { inventory, env }: TrustContext,
  name: string,
): Promise<DriverPackage | undefined> =>
  findDriverPackage(name, { folder: dirname((await inventory()).location), env })

/**
 * The drivers of an inventory that the user has not trusted for this inventory. Does not read their code, so a driver
 * counts as trusted even if it has changed since it was trusted.
 */
export async function findUntrusted(
  context: TrustContext,
  inventory: Inventory,
): Promise<readonly string[]> {
  const names = packagedDrivers(inventory)
  if (names.length === 0) return []
  const [records, key] = [await (await context.trust()).read(), await inventoryKey(context)]
  const untrusted: string[] = []
  for (const name of names) {
    const found = await findPackage(context, name).catch(
      ignored('driver', 'find the driver package'),
    )
    if (found === undefined || found.isGlobal) continue
    if (recordsOf(records, key, found.name).length === 0) untrusted.push(name)
  }
  return untrusted
}

/** A driver package to trust. */
export interface TrustSubject extends PackageDigest {
  readonly driver: string
  readonly folder: string
}

/**
 * Reads the packages of the drivers in `names`, or else of all external drivers that came with the inventory, without
 * running their code. Throws kind `usage` for a built-in or globally installed driver, which does not need to be
 * trusted.
 */
export async function readTrustSubjects(
  context: TrustContext,
  names: readonly string[],
): Promise<readonly TrustSubject[]> {
  const isNamed = names.length > 0
  const wanted = isNamed
    ? new Set(names)
    : packagedDrivers(await (await context.inventory()).read())
  const subjects: TrustSubject[] = []
  for (const driver of wanted) {
    const found = await findPackage(context, driver)
    if (found !== undefined && !found.isGlobal) {
      subjects.push({ driver, folder: found.folder, ...(await digestPackage(found)) })
    } else if (isNamed) throw needsNoTrust(driver, found, await context.inventory())
  }
  return subjects
}

function needsNoTrust(
  name: string,
  found: DriverPackage | undefined,
  { location }: { location: string },
): UserError {
  if (found === undefined && !isBuiltIn(name)) {
    return unknownDriver(name, dirname(location))
  }
  const why = found === undefined ? 'is part of fleet' : `is installed globally, in ${found.folder}`
  return new UserError('usage', `driver ${name} does not need to be trusted: it ${why}`)
}

/** Trusts these packages for the inventory, until their code changes. */
export async function trustDrivers(
  context: TrustContext,
  subjects: readonly TrustSubject[],
): Promise<void> {
  const [trust, inventory] = [await context.trust(), await inventoryKey(context)]
  const added = subjects.map(({ driver, version, folder, digest }) => ({
    ...{ inventory, package: `${prefix}${driver}` },
    ...(version !== undefined && { version }),
    ...{ folder, digest },
  }))
  const isReplaced = (one: TrustedDriver): boolean =>
    added.some((other) => other.inventory === one.inventory && other.package === one.package)
  await trust.update((before) => ({
    ...before,
    drivers: [...before.drivers.filter((one) => !isReplaced(one)), ...added],
  }))
  await dropCopies(context)
}

/**
 * Revokes the trust in drivers, and the permissions for paths, aliases and variables, for the inventory: those in
 * `names`, or, if `names` is empty, all of them and the trust in the inventory itself. Resolves to the revoked names.
 * Throws kind `usage` for a name that was not trusted.
 */
export async function revokeTrust(
  context: TrustContext,
  names: readonly string[],
): Promise<readonly string[]> {
  const [trust, inventory] = [await context.trust(), await inventoryKey(context)]
  const isSelected = (one: TrustedDriver): boolean =>
    one.inventory === inventory && (names.length === 0 || names.includes(nameOf(one.package)))
  const isSelectedPath = (one: AllowedPath): boolean =>
    one.inventory === inventory && (names.length === 0 || names.includes(one.path))
  const isSelectedAlias = (one: TrustedAlias): boolean =>
    one.inventory === inventory && (names.length === 0 || names.includes(one.alias))
  const isSelectedVariable = (one: AllowedVariable): boolean =>
    one.inventory === inventory && (names.length === 0 || names.includes(one.variable))
  const { drivers, inventories, paths, aliases, variables } = await trust.read()
  const revoked = [
    ...drivers.filter(isSelected).map((one) => nameOf(one.package)),
    ...paths.filter(isSelectedPath).map(({ path }) => path),
    ...aliases.filter(isSelectedAlias).map(({ alias }) => alias),
    ...new Set(variables.filter(isSelectedVariable).map(({ variable }) => variable)),
  ]
  const missing = names.find((name) => !revoked.includes(name))
  if (missing !== undefined) {
    throw new UserError(
      'usage',
      `${missing} is neither a trusted driver nor a path, SSH alias or variable allowed for ${inventory}`,
      {
        hint: 'to list trusted drivers and allowed items: fleet trust ls',
      },
    )
  }
  const isFile = (one: { readonly inventory: string }): boolean =>
    names.length === 0 && one.inventory === inventory
  await trust.update((before) => ({
    ...before,
    drivers: before.drivers.filter((one) => !isSelected(one)),
    inventories: before.inventories.filter((one) => !isFile(one)),
    paths: before.paths.filter((one) => !isSelectedPath(one)),
    aliases: before.aliases.filter((one) => !isSelectedAlias(one)),
    variables: before.variables.filter((one) => !isSelectedVariable(one)),
  }))
  await dropCopies(context)
  return [...revoked, ...inventories.filter(isFile).map((one) => one.inventory)]
}

/** The maximum age of a partial copy, in milliseconds. An older one was left behind by a process that was killed. */
const draftTime = 60 * 60_000

/** Removes the copies of packages that are no longer trusted. */
async function dropCopies(context: TrustContext): Promise<void> {
  const trust = await context.trust()
  const { drivers } = await trust.read()
  const kept = new Set(drivers.map(({ digest }) => copiesOf(trust.packages, digest)))
  for (const name of await readdir(trust.packages).catch((): string[] => [])) {
    const copy = join(trust.packages, name)
    const isDraft = name.startsWith('.')
    const since = isDraft
      ? (await stat(copy).catch(ignored('driver', 'inspect a partial copy')))?.mtimeMs
      : undefined
    const isOld = since === undefined || Date.now() - since > draftTime
    if (!kept.has(copy) && isOld) await rm(copy, { recursive: true, force: true })
  }
}
