import { UserError } from '../errors.ts'
import { nearest } from '../machine/nearest-name.ts'
import { aws } from './aws/definition.ts'
import { azure } from './azure/definition.ts'
import { type DriverName, driverNames } from './driver-names.ts'
import type { DriverDefinition } from './driver.ts'
import { local } from './local/definition.ts'
import type { DriverSearch } from './external/find-package.ts'
import { qemu } from './qemu/definition.ts'
import { ssh } from './ssh/definition.ts'
import { virtualbox } from './virtualbox/definition.ts'

const builtIn: Readonly<Record<DriverName, DriverDefinition>> = {
  local,
  ssh,
  qemu,
  virtualbox,
  aws,
  azure,
}

/** The built-in drivers, in the order that help lists them. */
export const drivers: readonly DriverDefinition[] = driverNames.map((name) => builtIn[name])

/**
 * Finds the driver called `name`: a built-in driver, or the package `fleet-driver-NAME` as resolved from
 * `search.folder`. A package's code runs only after `search.checkTrust` has approved it, unless it is installed
 * globally, as fleet itself is. Throws kind `usage` with the nearest name if there is no such driver, and kind
 * `unsupported` or `failed` if the package cannot be used with this version of fleet.
 */
export async function findDriver(name: string, search: DriverSearch): Promise<DriverDefinition> {
  const found = drivers.find((driver) => driver.name === name)
  if (found !== undefined) return found
  const { findDriverPackage } = await import('./external/find-package.ts')
  const driverPackage = await findDriverPackage(name, search)
  if (driverPackage !== undefined) {
    const { isGlobal, holder } = driverPackage
    const loadedFrom = isGlobal ? holder : await search.checkTrust(driverPackage)
    const { loadDefinition } = await import('./external/load-definition.ts')
    return loadDefinition(name, driverPackage, loadedFrom)
  }
  throw unknownDriver(name, search.folder)
}

/** Returns the error for an unknown driver used by an inventory in `folder`, and suggests the nearest name. */
export function unknownDriver(name: string, folder: string): UserError {
  const near = nearest(name, driverNames)
  return new UserError('usage', `unknown driver ${JSON.stringify(name)}`, {
    hint:
      near === undefined
        ? `available drivers: ${driverNames.join(', ')}; to use another driver, install the npm package fleet-driver-NAME in ${folder} or globally`
        : `did you mean ${near}?`,
  })
}
