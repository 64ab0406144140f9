import { UserError } from '../../errors.ts'
import type { DriverDefinition } from '../../drivers/driver.ts'
import { networkGrants } from '../../drivers/grants.ts'
import { formatPorts } from '../../drivers/net/ports.ts'
import { checkOptions } from '../../drivers/options/option-flags.ts'
import type { Change } from '../../operations/plan/change-plan.ts'
import type { Invocation } from '../command.ts'

type Options = Readonly<Record<string, unknown>>

/** The description of a new host in a plan. */
export interface NewHost {
  /** Driver, location, type, disk and image: `aws, eu-west-1, t3.small, 20 GiB disk, debian-13`. */
  readonly what: string
  /** The networks from which SSH and other ports can be reached. Absent if the driver has no such options. */
  readonly access?: string
  /** The host's grants that `access` already describes. */
  readonly describedGrants: readonly string[]
}

/** Information that is shown along with the changes of a plan. */
export interface PlanContext {
  readonly hosts: ReadonlyMap<string, NewHost>
  /** The number of machines in the inventory. */
  readonly total: number
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : undefined

/** Returns the region or location of a host, and its zone. The result is empty if the driver has no such options. */
function locationOf(has: (key: string) => boolean, options: Options): string[] {
  const place = textOf(options['region']) ?? textOf(options['location'])
  const zone = textOf(options['zone'])
  if (place === undefined && !has('region') && !has('location')) return []
  return [place ?? 'default region', ...(zone === undefined ? [] : [`zone ${zone}`])]
}

/** Returns the size of a host: its type or its processors and memory, and its disk. */
function sizeOf(has: (key: string) => boolean, options: Options): string[] {
  const type = textOf(options['type']) ?? textOf(options['size'])
  const [cpus, memory, disk] = ['cpus', 'memory', 'disk'].map((key) => textOf(options[key]))
  return [
    ...(type === undefined ? [] : [type]),
    ...(cpus === undefined ? [] : [cpus === '1' ? '1 CPU' : `${cpus} CPUs`]),
    ...(memory === undefined ? [] : [`${memory} MiB memory`]),
    ...(disk === undefined
      ? has('disk')
        ? ['disk size from the image']
        : []
      : [`${disk} GiB disk`]),
  ]
}

/** Describes the networks from which a host can be reached. Returns undefined if the driver has no such options. */
function accessOf(has: (key: string) => boolean, options: Options): string | undefined {
  if (!has('sshCidr')) return has('cpus') ? 'SSH from this computer only' : undefined
  const groups = textOf(options['securityGroups'])
  const isPrivate = options['privateOnly'] === true ? ['no public address'] : []
  if (groups !== undefined) {
    return [`SSH and other ports, as allowed by security groups ${groups}`, ...isPrivate].join('; ')
  }
  const ssh = `SSH from ${textOf(options['sshCidr']) ?? 'your current address only'}`
  const ports = textOf(options['ports'])
  const open = ports === undefined ? 'no other ports' : `ports ${formatPorts(ports)} from anywhere`
  return [ssh, open, ...isPrivate].join('; ')
}

/** Describes a host that will be created with these options, all of which are valid. */
export function describeHost(definition: DriverDefinition, options: Options): NewHost {
  const has = (key: string): boolean => key in definition.options.shape
  const image = textOf(options['image'])
  const spot = options['spot']
  const parts = [
    definition.name,
    ...locationOf(has, options),
    ...sizeOf(has, options),
    ...(image === undefined ? [] : [image]),
    ...(spot === true || spot === 'only' || spot === 'prefer' ? ['spot'] : []),
  ]
  const access = accessOf(has, options)
  if (access === undefined) return { what: parts.join(', '), describedGrants: [] }
  const network = { ports: textOf(options['ports']), sshCidr: textOf(options['sshCidr']) }
  const describedGrants = networkGrants(network).map(({ what }) => what)
  return { what: parts.join(', '), access, describedGrants }
}

/**
 * Describes the hosts that the changes will create, keyed by machine. Hosts with invalid options are omitted: the plan
 * has an issue for each of them.
 */
export async function describeHosts(
  { fleet }: Pick<Invocation, 'fleet'>,
  changes: readonly Change[],
): Promise<PlanContext> {
  const { machines, defaults } = await (await fleet.inventory()).read()
  const hosts = new Map<string, NewHost>()
  for (const { machine: name, action } of changes) {
    const machine = [...machines.values()].find((one) => one.name === name)
    if (machine === undefined || (action !== 'create' && action !== 'replace')) continue
    const { driver, options = {} } = machine
    try {
      const definition = await fleet.driver(driver)
      hosts.set(name, describeHost(definition, checkOptions(definition, options, defaults[driver])))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
    }
  }
  return { hosts, total: machines.size }
}
