import { checkOptions } from '../drivers/option-flags.ts'
import type { HostFacts } from '../drivers/driver.ts'
import { UserError } from '../errors.ts'
import type { Machine, ReadyMachine } from '../machine/machine.ts'
import type { HostProbe } from '../provision/host-probe.ts'
import { type Inventory, entryOf } from '../state/inventory.ts'
import { type AdmitRequest, admitHost } from './admit-host.ts'
import type { Context, Progress } from './context.ts'
import { type EntryRequest, checkNotThere, draftEntry } from './draft-entry.ts'
import type { ProvisionCalls } from './provision-host.ts'

/** A machine to make of a host that exists. */
export interface CreateRequest extends EntryRequest, AdmitRequest {}

/** A machine that is in the inventory now. */
export interface CreatedMachine {
  readonly machine: ReadyMachine
  readonly probe: HostProbe
  /** What to do next, where something is still to be done. */
  readonly hint?: string
}

/**
 * Makes a machine of a host that exists, or completes an entry that a person wrote: finds the
 * host, pins its key, looks at it and writes the entry. The host stays as it is, unless
 * `installEngine`. When anything fails, nothing is written.
 */
export async function createMachine(
  context: Context,
  request: CreateRequest,
  calls: ProvisionCalls,
): Promise<CreatedMachine> {
  const { name } = request
  const store = await context.inventory()
  const inventory = await store.read()
  const before = inventory.machines.get(name)
  const machine = { ...draftEntry(request, before && entryOf(before)), name }
  checkEngineWish(machine, request)
  const facts = await locateHost(context, machine, inventory, calls.progress)
  checkNotThere(inventory, name, machine.via, facts)
  const { host, probe } = await admitHost(context, machine, facts, request, calls)
  await store.update(name, (entry, newest) => {
    checkNotThere(newest, name, machine.via, facts)
    return { ...draftEntry(request, entry), host }
  })
  const created = { ...machine, host }
  return { machine: created, probe, ...hintFor(created, probe) }
}

function checkEngineWish({ name, engine }: Machine, { installEngine }: AdmitRequest): void {
  if (engine !== 'none' || !installEngine) return
  throw new UserError('usage', `${name} is meant to have no engine, and one is to be installed`, {
    machine: name,
    hint: 'leave out --install-engine, or else --engine-none and "engine: none" in its entry',
  })
}

/** Asks the driver where the host is, with the options that the inventory sets for all of its machines. */
async function locateHost(
  context: Context,
  machine: Machine,
  inventory: Inventory,
  progress: Progress,
): Promise<HostFacts> {
  const definition = await context.driver(machine.driver)
  const defaults = inventory.defaults[machine.driver]
  const options = checkOptions(definition, machine.options ?? {}, defaults)
  const driver = await definition.load()
  if (driver.locate === undefined) {
    throw new UserError('unsupported', `the driver ${machine.driver} finds no existing hosts`, {
      machine: machine.name,
      hint: 'fleet create --help',
    })
  }
  return driver.locate(machine.name, options, { signal: context.signal, progress })
}

function hintFor(
  { name, host, engine }: ReadyMachine,
  probe: HostProbe,
): Pick<CreatedMachine, 'hint'> {
  if (engine === 'none') return {}
  if (probe.engine?.version === undefined) {
    return { hint: `no Docker engine answers there; to install one: fleet provision ${name}` }
  }
  if (host.address === undefined && !probe.engine.direct) {
    return { hint: `log in again before you use it: ${probe.user} joined the group docker` }
  }
  return {}
}
