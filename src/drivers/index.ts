import { UserError } from '../errors.ts'
import { nearest } from '../machine/nearest.ts'
import { aws } from './aws/definition.ts'
import { azure } from './azure/definition.ts'
import type { DriverDefinition } from './driver.ts'
import { local } from './local/definition.ts'
import type { DriverPlace } from './external/find-package.ts'
import { qemu } from './qemu/definition.ts'
import { ssh } from './ssh/definition.ts'
import { virtualbox } from './virtualbox/definition.ts'

/** Every driver of fleet's own, in the order that people are shown. */
export const drivers: readonly DriverDefinition[] = [local, ssh, qemu, virtualbox, aws, azure]

/**
 * The driver called `name`: fleet's own, else that of the package `fleet-driver-NAME` as seen from
 * `place`, whose code this runs once `place.vet` has allowed it; a global package is the person's own installation, as
 * fleet is. Throws kind `usage`, with the nearest name, where there is neither, and says what is wrong with a package that
 * holds no driver for this fleet.
 */
export async function findDriver(name: string, place: DriverPlace): Promise<DriverDefinition> {
  const found = drivers.find((driver) => driver.name === name)
  if (found !== undefined) return found
  const { findDriverPackage } = await import('./external/find-package.ts')
  const driverPackage = await findDriverPackage(name, place)
  if (driverPackage !== undefined) {
    const { isGlobal, holder } = driverPackage
    const loadedFrom = isGlobal ? holder : await place.vet(driverPackage)
    const { loadDefinition } = await import('./external/load-definition.ts')
    return loadDefinition(name, driverPackage, loadedFrom)
  }
  throw unknownDriver(name, place.folder)
}

/** Says that there is no such driver for an inventory in `folder`, with the nearest name. */
export function unknownDriver(name: string, folder: string): UserError {
  const names = drivers.map((driver) => driver.name)
  const near = nearest(name, names)
  return new UserError('usage', `unknown driver ${JSON.stringify(name)}`, {
    hint:
      near === undefined
        ? `available: ${names.join(', ')}; for another driver, install the npm package fleet-driver-NAME in ${folder} or globally`
        : `did you mean ${near}?`,
  })
}
