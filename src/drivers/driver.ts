import type { z } from 'zod'
import type { HostRecord } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { HostStatus } from '../machine/status.ts'

/** What every call to a driver carries. */
export interface Call {
  readonly signal: AbortSignal
  /** Tells the person the step that the call is at. */
  readonly progress: (step: string) => void
}

/** Where a host is and how to log in: what transport needs to reach it. No address: this computer. */
export type HostFacts = Pick<HostRecord, 'id' | 'address' | 'port' | 'user' | 'socket'>

/**
 * How hosts come to be. What every driver can do is required; a part that a provider
 * cannot do is absent, never a method that throws.
 */
export interface Driver<Options = Readonly<Record<string, unknown>>> {
  /** A host that exists already: says where it is. Changes nothing. */
  locate?(name: MachineName, options: Options, call: Call): Promise<HostFacts>
  /** Asks the provider about many hosts in one call. A host that is gone is `absent`. */
  observe(
    hosts: ReadonlyMap<MachineName, HostRecord>,
    call: Call,
  ): Promise<ReadonlyMap<MachineName, HostStatus>>
}

/** A driver as data; its code is loaded when it is used. */
export interface DriverDefinition<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly name: string
  /** One line for `fleet create --help`. */
  readonly summary: string
  /** From this schema come the flags, the check of machines.yaml, the prompts and the documentation. */
  readonly options: z.ZodObject<Shape, z.core.$strict>
  load(): Promise<Driver<z.infer<z.ZodObject<Shape, z.core.$strict>>>>
}

/** Declares a driver, keeping the types of its options. */
export const defineDriver = <Shape extends z.ZodRawShape>(
  definition: DriverDefinition<Shape>,
): DriverDefinition<Shape> => definition

/** The status of hosts that no provider can be asked about: only a connection can tell. */
export const unknownStatus = (
  hosts: ReadonlyMap<MachineName, HostRecord>,
): ReadonlyMap<MachineName, HostStatus> =>
  new Map([...hosts.keys()].map((name) => [name, { state: 'unknown' }]))
