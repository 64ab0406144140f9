import type { Driver, HostFacts } from '../../drivers/driver.ts'
import { checkOptions } from '../../drivers/options/option-flags.ts'
import { UserError } from '../../errors.ts'
import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import { type Inventory, machineWith } from '../../state/inventory/inventory.ts'
import type { AdoptOptions } from '../adopt/connect-and-probe.ts'
import type { Context } from '../context.ts'
import { type EntryRequest, newEntry } from './new-entry.ts'
import { checkGrants } from '../inventory/grants.ts'
import { checkJumpHosts } from '../connect/jump-host.ts'
import { makeHost } from './make-host.ts'
import type { ProvisionCalls } from '../provision/provision-host.ts'
import { adoptHost } from '../adopt/adopt-host.ts'
import type { ProbedMachine } from '../adopt/bootstrap-host.ts'

/** A machine to create. */
export interface CreateRequest extends EntryRequest, AdoptOptions {}

/** A machine that has been added to the inventory. */
export interface CreatedMachine extends ProbedMachine {
  /** The next step for the user, if there is one. */
  readonly hint?: string
  readonly warnings?: readonly string[]
}

type Options = Readonly<Record<string, unknown>>

/**
 * Creates a machine with its driver, from a new or an existing host, or continues an interrupted creation. The entry of
 * a new host is written before the first request to the provider, so that no host can be lost. An existing host is not
 * changed, unless `installEngine` is set, and its entry is written only after everything has succeeded.
 */
export async function createMachine(
  context: Context,
  request: CreateRequest,
  calls: ProvisionCalls,
): Promise<CreatedMachine> {
  const { name } = request
  const inventory = await (await context.inventory()).read()
  const machine = draftMachine(request, inventory)
  checkEngineOption(machine, request)
  await checkJumpHosts(context, machine)
  const definition = await context.driver(machine.driver)
  const options = checkOptions(
    definition,
    machine.options ?? {},
    inventory.defaults[machine.driver],
  )
  await checkGrants(context, machine, options, `fleet create ${name}`)
  const driver = await context.loadDriver(machine.driver)
  const { lifecycle } = driver
  const taken =
    lifecycle === undefined
      ? await adoptHost(
          context,
          machine,
          await locateHost(context, machine, { driver, options, calls }),
          request,
          calls,
        )
      : await makeHost(context, machine, {
          ...{ lifecycle, options, inventory, progress: calls.progress },
          draft: (newest) => newEntry(request, newest),
        })
  return { ...taken, ...hintFor(taken.machine, taken.probe) }
}

/** The machine that a request describes, together with its entry and its profile. Throws as {@link newEntry} does. */
export const draftMachine = (request: EntryRequest, inventory: Inventory): Machine =>
  machineWith(inventory, request.name, newEntry(request, inventory))

function checkEngineOption({ name, engine }: Machine, { installEngine }: AdoptOptions): void {
  if (engine !== 'none' || !installEngine) return
  throw new UserError('usage', `cannot install an engine: ${name} has the setting "engine: none"`, {
    machine: name,
    hint: 'omit --install-engine, or change the setting',
  })
}

/** Asks the driver for the address of the host. */
function locateHost(
  { signal }: Context,
  { name, driver: driverName }: Machine,
  {
    driver,
    options,
    calls,
  }: { readonly driver: Driver; readonly options: Options; readonly calls: ProvisionCalls },
): Promise<HostFacts> {
  if (driver.locate !== undefined) {
    return driver.locate(name, options, { signal, progress: calls.progress })
  }
  throw new UserError('unsupported', `the ${driverName} driver can neither create nor find hosts`, {
    machine: name,
    hint: 'to list the drivers: fleet create --help',
  })
}

/** The hint for a user who can neither open the engine socket nor become root. */
const noAccessHint = (user: string, name: string): string =>
  `the user ${user} does not have permission to use Docker on the host; add the user to the docker group or allow the user to use sudo without a password, then run: fleet ps -m ${name}`

function hintFor(
  { name, host, engine }: ReadyMachine,
  probe: HostProbe,
): Pick<CreatedMachine, 'hint'> {
  if (engine === 'none') return {}
  if (probe.engine?.version === undefined) {
    const mayNot = probe.engine?.direct === false && !probe.root && !probe.sudo
    if (mayNot) return { hint: noAccessHint(probe.user, name) }
    return {
      hint: `no running Docker engine was found; to install or repair Docker: fleet provision ${name}`,
    }
  }
  if (host.address === undefined && !probe.engine.direct) {
    return {
      hint: `${probe.user} was added to the docker group; log in again on this computer to apply the change`,
    }
  }
  return {}
}
