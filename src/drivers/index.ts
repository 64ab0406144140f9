import { UserError } from '../errors.ts'
import { nearest } from '../machine/nearest.ts'
import type { DriverDefinition } from './driver.ts'
import { local } from './local/definition.ts'
import { ssh } from './ssh/definition.ts'

/** Every driver, in the order that people are shown. */
export const drivers: readonly DriverDefinition[] = [local, ssh]

/** The driver called `name`. Throws kind `usage`, with the nearest name. */
export function findDriver(name: string): DriverDefinition {
  const found = drivers.find((driver) => driver.name === name)
  if (found !== undefined) return found
  const names = drivers.map((driver) => driver.name)
  const near = nearest(name, names)
  throw new UserError('usage', `there is no driver called ${JSON.stringify(name)}`, {
    hint: near === undefined ? `there are ${names.join(', ')}` : `did you mean ${near}?`,
  })
}
