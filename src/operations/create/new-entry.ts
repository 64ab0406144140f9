import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import {
  type HostRecord,
  type Machine,
  type MachineEntry,
  isSameLogin,
} from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { mergeEngine } from '../../machine/profiles.ts'
import {
  type Inventory,
  checkExtends,
  entryFor,
  machineWith,
} from '../../state/inventory/inventory.ts'

/** The user's settings for a new machine. */
export interface EntryRequest {
  readonly name: MachineName
  /** The profile to extend; if absent, the profile of the existing entry. */
  readonly extends?: string | undefined
  /** The driver; if absent, the driver of the existing entry or its profile. */
  readonly driver?: string | undefined
  readonly options?: Readonly<Record<string, unknown>> | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly via?: MachineName | undefined
  readonly engine?: MachineEntry['engine']
  /** A file with the user's own user-data. The path is relative to the inventory's directory. */
  readonly userData?: string | undefined
  readonly protected?: boolean | undefined
}

/**
 * Builds the entry of a new machine, or merges the request into an existing entry without a host: one written by hand,
 * one from the count of a profile, or one whose creation was interrupted. Settings of a profile are not copied into the
 * entry. Throws kind `usage` when the name is taken, or when the request continues an interrupted creation with a
 * different engine, jump host or user-data.
 */
export function newEntry(request: EntryRequest, inventory: Inventory): MachineEntry {
  const { name } = request
  const there = entryFor(inventory, name)
  const entry = there ?? (request.extends === undefined ? undefined : { extends: request.extends })
  const phase = entry?.host?.phase
  if (phase === 'ready') throw nameTaken(name)
  if (phase === 'removing') throw beingRemoved(name)
  checkExtends(inventory, name, entry?.extends)
  const written = entry && machineWith(inventory, name, entry)
  const options = { ...entry?.options, ...request.options }
  const labels = { ...entry?.labels, ...request.labels }
  const drafted: MachineEntry = {
    ...entry,
    ...(!written?.driver && request.driver !== undefined && { driver: request.driver }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(options).length > 0 && { options }),
    ...(request.via !== undefined && { via: request.via }),
    ...(request.engine !== undefined && { engine: mergeEngine(entry?.engine, request.engine) }),
    ...(request.userData !== undefined && { userData: request.userData }),
    ...(request.protected === true && { protected: true }),
  }
  const machine = machineWith(inventory, name, drafted)
  if (request.extends !== undefined && request.extends !== machine.extends) {
    throw new UserError(
      'usage',
      machine.extends === undefined
        ? `the entry for ${name} does not extend a profile`
        : `the entry for ${name} already extends the profile ${machine.extends}`,
      {
        machine: name,
        hint: `omit --extends: fleet create ${name}`,
      },
    )
  }
  if (machine.driver === '') {
    throw new UserError('usage', `no driver is specified for ${name}`, {
      hint: `specify a driver: fleet create ${name} --driver ssh --address ADDRESS`,
    })
  }
  if (request.driver !== undefined && machine.driver !== request.driver) {
    const source =
      entry?.driver === undefined
        ? `${name} extends the profile ${entry?.extends}, which sets`
        : `the entry for ${name} already sets`
    throw new UserError('usage', `${source} "driver: ${machine.driver}"`, {
      machine: name,
      hint: `omit --driver: fleet create ${name}`,
    })
  }
  if (phase === 'creating') checkSame(name, machine, written)
  return drafted
}

const nameTaken = (name: MachineName): UserError =>
  new UserError('usage', `machine ${name} already exists; nothing was changed`, {
    machine: name,
    hint: `choose another name, or remove the existing machine first: fleet rm ${name}`,
  })

const beingRemoved = (name: MachineName): UserError =>
  new UserError('usage', `${name} was only partly removed`, {
    machine: name,
    hint: `finish removing the machine first: fleet rm ${name}`,
  })

/** Formats a setting for a message: as JSON without quotation marks, or `not set`. */
const formatValue = (value: unknown): string =>
  value === undefined ? 'not set' : JSON.stringify(value).replaceAll('"', '')

/**
 * Checks that a creation is continued with the settings with which it was started. Changed options are not checked
 * here; the driver handles them.
 */
function checkSame(
  name: MachineName,
  { options: _newOptions, ...now }: MachineEntry,
  { options: _oldOptions, ...before }: Partial<MachineEntry> = {},
): void {
  const keys = Object.keys(now) as (keyof typeof now)[]
  const other = keys.find((key) => !isDeepStrictEqual(now[key], before[key]))
  if (other === undefined) return
  throw new UserError(
    'usage',
    `fleet started creating ${name} with a different value for ${other}: it was ${formatValue(before[other])} and is now ${formatValue(now[other])}`,
    {
      machine: name,
      hint: `to finish creating the machine: fleet create ${name}; to remove it and start over: fleet rm ${name}`,
    },
  )
}

/**
 * Throws kind `usage` when another machine already refers to the same host (the same user, address and jump host) or to
 * the same engine on this computer.
 */
export function checkNotDuplicate(
  inventory: Inventory,
  name: MachineName,
  via: string | undefined,
  facts: Pick<HostRecord, 'address' | 'port' | 'user' | 'socket' | 'sshAlias'>,
): void {
  const same = ({ host, ...machine }: Machine): boolean =>
    machine.name !== name &&
    host?.phase === 'ready' &&
    host.address === facts.address &&
    (facts.sshAlias === undefined || host.sshAlias === facts.sshAlias) &&
    (facts.address === undefined
      ? host.socket === facts.socket
      : machine.via === via && isSameLogin(host, facts))
  const other = [...inventory.machines.values()].find(same)
  if (other === undefined) return
  const where =
    facts.address === undefined ? 'the engine on this computer' : `${facts.user}@${facts.address}`
  throw new UserError('usage', `${where} is already in the inventory as machine ${other.name}`, {
    machine: name,
    hint: `use ${other.name}, or remove it from the inventory first: fleet forget ${other.name}`,
  })
}
