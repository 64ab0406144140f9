import { dirname } from 'node:path'
import { type DriverPackage, UntrustedDriver } from '../../drivers/external/find-package.ts'
import { copyPackage } from '../../drivers/external/package-copy.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { preparePrivateFolder } from '../../state/home/home.ts'
import type { TrustRecords, TrustedDriver } from '../../state/home/trust.ts'
import type { Context, Stores } from '../context.ts'
import { inventoryKey } from './inventory-key.ts'

export type TrustContext = Pick<
  Context,
  'inventory' | 'trust' | 'env' | 'program' | 'inventoryFile'
>

/** The prefix of an external driver's package name; it is followed by the name of the driver. */
export const prefix = 'fleet-driver-'
export const nameOf = (packageName: string): string => packageName.slice(prefix.length)

/** The records of the user's trust in a package for an inventory; usually there is only one. */
export const recordsOf = (
  { drivers }: TrustRecords,
  inventory: string,
  packageName: string,
): readonly TrustedDriver[] =>
  drivers.filter((one) => one.inventory === inventory && one.package === packageName)

/** The command with which the user trusts a driver. */
export const trustCommand = (name: string, { inventoryFile }: Pick<Stores, 'inventoryFile'>) =>
  `fleet trust ${shellQuote(name)}${inventoryFile === undefined ? '' : ` --inventory ${shellQuote(inventoryFile)}`}`

/**
 * Checks that the user has trusted exactly this code of a package for this inventory. Resolves to the path of a copy in
 * fleet's home directory. The copy consists of the bytes that were checked, so later changes to the original do not
 * take effect. Throws {@link UntrustedDriver}.
 */
export async function checkDriverTrust(
  context: TrustContext,
  driverPackage: DriverPackage,
): Promise<string> {
  const { name, folder } = driverPackage
  const trust = await context.trust()
  const records = recordsOf(await trust.read(), await inventoryKey(context), name)
  for (const { digest } of records) {
    await preparePrivateFolder(trust.packages)
    const fleet = dirname(dirname(context.program ?? ''))
    const holder = await copyPackage(driverPackage, digest, { folder: trust.packages, fleet })
    if (holder !== undefined) return holder
  }
  const why =
    records.length === 0
      ? `is not trusted: its code comes with the inventory, in ${folder}`
      : `has changed since it was trusted: ${folder}`
  throw new UntrustedDriver('failed', `the ${nameOf(name)} driver ${why}`, {
    hint: `review the package; to allow it to run with your permissions: ${trustCommand(nameOf(name), context)}`,
  })
}
