import { dirname, relative, resolve, sep } from 'node:path'
import type { DriverDefinition } from '../../../drivers/driver.ts'
import { UserError } from '../../../errors.ts'
import type { Fleet } from '../../../app/fleet.ts'
import { parseLabels } from '../../../machine/labels.ts'
import { type MachineName, parseMachineName } from '../../../machine/name.ts'
import { mergeProfiles } from '../../../machine/profiles.ts'
import type { CreateRequest } from '../../../operations/create/create-machine.ts'
import type { Invocation } from '../../command.ts'
import { engineFrom } from './engine-options.ts'
import { checkFitting, type creationOptions } from './options.ts'
import { trustFrom } from '../../options/host-key-options.ts'
import { shellQuote } from '../../../os/shell-quote.ts'

type Options = Invocation<Record<string, never>, typeof creationOptions>['options']

/** The machines to create, once all questions have been answered. */
export interface CreationRequest {
  readonly names: readonly MachineName[]
  readonly driver: DriverDefinition | undefined
  readonly driverOptions: Readonly<Record<string, unknown>>
  readonly options: Options
}

/** Returns the names of the machines to create: the given names, or numbered names with --count. */
export function numberNames(
  names: readonly MachineName[],
  count: number | undefined,
): MachineName[] {
  if (count === undefined) return [...new Set(names)]
  const [name] = names
  if (name === undefined || names.length > 1) {
    throw new UserError('usage', '--count requires exactly one name', {
      hint: 'for example: fleet create NAME --count 3',
    })
  }
  return Array.from({ length: count }, (_, index) => parseMachineName(`${name}-${index + 1}`))
}

/** Resolves to the path of the user-data file, relative to the inventory's directory. */
async function userDataFrom(fleet: Fleet, cwd: string, file: string | undefined) {
  if (file === undefined) return undefined
  const { location } = await fleet.inventory()
  return relative(dirname(location), resolve(cwd, file)).replaceAll(sep, '/')
}

/** Checks that the options apply to the driver, and that options for a single host are not used for several. */
export async function checkDriver(
  fleet: Fleet,
  { names, driver, driverOptions, options }: CreationRequest,
): Promise<void> {
  const { machines, profiles } = await (await fleet.inventory()).read()
  const extended = mergeProfiles(profiles).get(options.extends ?? '')
  const name = driver?.name ?? machines.get(names[0] as MachineName)?.driver ?? extended?.driver
  if (name === undefined) return
  const makesHosts = (await fleet.loadDriver(name)).lifecycle !== undefined
  checkFitting(options, { driver: name, makesHosts })
  if (makesHosts || names.length < 2 || Object.keys(driverOptions).length === 0) return
  throw new UserError(
    'usage',
    `with options for the ${name} driver, only one machine can be created at a time`,
    {
      hint: `create the machines one at a time, starting with: fleet create ${names[0]} --driver ${shellQuote(name)} …`,
    },
  )
}

/** Resolves to the part of the request that is the same for all machines. */
export async function requestFor(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  { driver, driverOptions, options }: CreationRequest,
): Promise<Omit<CreateRequest, 'name'>> {
  const { namedIdentityFiles } = await import('../../../operations/adopt/try-logins.ts')
  return {
    extends: options.extends,
    driver: driver?.name,
    options: driverOptions,
    labels: parseLabels(options.label),
    via: options.via,
    engine: await engineFrom(options),
    userData: await userDataFrom(fleet, io.cwd, options.userData),
    protected: options.protected,
    identityFiles: await namedIdentityFiles(options.identity),
    installEngine: options.installEngine,
    trust: trustFrom(io, options),
  }
}
