// Exports of `fleet/driver`, for drivers outside the project.
import type { z } from 'zod'
import { checkRecords } from './check-records.ts'
import type { DriverDefinition, contractVersion } from './driver.ts'

export { UserError } from '../errors.ts'

export type { ErrorKind } from '../errors.ts'
export type { HostRecord } from '../machine/machine.ts'
export type { MachineName } from '../machine/name.ts'
export type { HostStatus } from '../machine/machine.ts'
export { unknownStatus } from './driver.ts'
export type {
  Ask,
  Call,
  DiskSpec,
  Driver,
  DriverDefinition,
  FleetScope,
  FoundHost,
  HostFacts,
  HostPlan,
  BootstrapData,
  HostSpec,
  Lifecycle,
  Power,
  ExistingHost,
  DriverState,
  BootDisk,
  Snapshot,
  Snapshots,
  DriverContext,
} from './driver.ts'
export type { Grant } from './grants.ts'
export type { PeerAccess, PeerGroup, PeerState } from './net/peer-access.ts'
export type { PortRange } from './net/ports.ts'
export type { SshAccess } from './net/ssh-access.ts'
export type { Difference, Update, UpdateRequest } from './update.ts'

/**
 * Declares a driver, with typed options. The author specifies `contract`, because the version of fleet that runs the
 * driver may have a newer contract.
 */
export const defineDriver = <Shape extends z.ZodRawShape>(
  definition: DriverDefinition<Shape> & {
    readonly contract: typeof contractVersion
    readonly prompts?: readonly (string & keyof Shape)[]
  },
): DriverDefinition<Shape> => ({
  ...definition,
  load: async (folder, context) => checkRecords(await definition.load(folder, context)),
})
