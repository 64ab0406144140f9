import type { DriverDefinition } from './driver.ts'
import { local } from './local/definition.ts'
import { ssh } from './ssh/definition.ts'

/** Every driver, as `fleet drivers` lists them. */
export const drivers: readonly DriverDefinition[] = [local, ssh]
