// What a driver outside the project imports as `fleet/driver`.
export { UserError } from '../errors.ts'
export type { ErrorKind } from '../errors.ts'
export type { HostRecord } from '../machine/machine.ts'
export type { MachineName } from '../machine/name.ts'
export type { HostStatus } from '../machine/status.ts'
export { contractVersion, defineDriver, unknownStatus } from './driver.ts'
export type {
  Call,
  Driver,
  DriverDefinition,
  FleetScope,
  FoundHost,
  HostFacts,
  HostPlan,
  HostSeed,
  HostWish,
  Lifecycle,
  Power,
  Resources,
} from './driver.ts'
