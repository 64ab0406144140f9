import type { Call, HostPlan, HostSpec, DriverState } from '../../driver.ts'
import type { GetCallerAddress } from '../../net/caller-address.ts'
import { checkOwnedBy } from '../../ownership.ts'
import type { Account, AzureApi, OpenApi } from '../api/azure-api.ts'
import { recordOptions } from '../machine/compare.ts'
import { decide, describeDecision, recordDecision } from './decision.ts'
import type { AzureOptions } from '../options.ts'
import { type HostLocation, readLocation, recordLocation } from './host-location.ts'
import { findSubscription } from '../api/login.ts'
import { createHost, resumeHost } from './make.ts'
import { checkPrograms } from './reach-option.ts'
import { baseName, namesOf, ownGroupName } from '../names.ts'
import { usageError } from '../api/sdk-errors.ts'
import { type FoundMachine, findVirtualMachine } from './virtual-machine.ts'
import type { Environment } from '../../../os/environment.ts'

/**
 * Azure's limit for custom data in bytes,
 * https://learn.microsoft.com/azure/virtual-machines/custom-data.
 */
const maxUserData = 65_535

/** Chooses the account from the options or, if they do not set one, from the environment. */
export async function chooseAccount(
  options: Pick<AzureOptions, 'cloud' | 'tenant' | 'subscription'>,
  env: Environment,
  { signal }: Call,
): Promise<Account> {
  const { cloud, tenant } = options
  const subscription = options.subscription ?? (await findSubscription(env, signal))
  return { cloud, subscription: subscription.toLowerCase(), tenant }
}

/** Placeholder for the name of a resource group that fleet creates. */
const newGroup = '(new)'

const placeIn = (what: string, value: string): string =>
  value === newGroup ? `a new ${what}` : `the ${what} ${value}`

/**
 * Throws kind `usage` if the creation was started in another subscription or group, because the resources there would
 * be left behind.
 */
function checkSameTarget({ account, group, ownGroup }: HostLocation, options: AzureOptions): void {
  const { cloud, subscription, resourceGroup } = options
  const started = {
    ...{ cloud: account.cloud, subscription: account.subscription },
    'resource group': ownGroup ? newGroup : group,
  }
  const wanted: Record<string, string | undefined> = {
    ...{ cloud, subscription },
    'resource group': resourceGroup ?? newGroup,
  }
  for (const [what, value] of Object.entries(started)) {
    const other = wanted[what]
    if (other === undefined || other.toLowerCase() === value.toLowerCase()) continue
    throw usageError(
      `fleet started creating the machine in ${placeIn(what, value)} and cannot continue in ${placeIn(what, other)}`,
      'remove the machine with fleet rm, then create it again',
    )
  }
}

async function chooseLocation(
  spec: HostSpec,
  options: AzureOptions,
  env: Environment,
  call: Call,
): Promise<HostLocation> {
  const decided = readLocation({ phase: 'creating', token: spec.token, resources: spec.resources })
  if (decided !== undefined) return decided
  const base = baseName(spec.name, spec.token)
  const ownGroup = options.resourceGroup === undefined
  return {
    account: await chooseAccount(options, env, call),
    group: options.resourceGroup ?? ownGroupName(base),
    ownGroup,
    isPrivate: options.privateOnly,
    names: namesOf(base),
  }
}

function validateOptions(options: AzureOptions): void {
  const { privateOnly, subnet, dnsLabel, reach = 'direct', bastion } = options
  if (reach === 'bastion' && subnet === undefined) {
    throw usageError(
      '--reach bastion requires --subnet: the network that fleet creates has no Bastion',
      'choose your own subnet with --subnet',
    )
  }
  if (reach === 'direct' && bastion !== undefined) {
    throw usageError('--bastion requires --reach bastion', 'add --reach bastion, or omit --bastion')
  }
  if (privateOnly && subnet === undefined) {
    throw usageError(
      '--private-only requires --subnet: a private host in the network that fleet creates cannot be reached',
      'choose your own subnet with --subnet',
    )
  }
  if (privateOnly && dnsLabel !== undefined) {
    throw usageError(
      '--dns-label and --private-only cannot be combined: a DNS label requires a public address',
      'omit --dns-label or --private-only',
    )
  }
}

/** The fields of {@link HostPlan} that are the same for all hosts. */
const commonPlan = (user: string) => ({
  user,
  userData: { maxBytes: maxUserData, gzip: true },
})

const lowerCase = (notes: DriverState, key: string): string => (notes[key] ?? '').toLowerCase()

/** Returns a note if the creation was started with different options. */
const changedSince = (spec: HostSpec, options: AzureOptions): readonly string[] => {
  const wanted: DriverState = { ...recordOptions(options), size: options.size }
  const others = Object.keys(wanted).filter(
    (key) => lowerCase(spec.resources, key) !== lowerCase(wanted, key),
  )
  if (others.length === 0) return []
  return [
    'the options have changed since fleet started creating the machine; once the machine is ready, run fleet plan to see the changes',
  ]
}

/** Plans a host whose virtual machine an earlier attempt created or is creating. */
function planExisting(
  api: AzureApi,
  place: HostLocation,
  spec: HostSpec,
  machine: FoundMachine,
  options: AzureOptions,
): HostPlan {
  return {
    ...commonPlan(machine.user),
    resources: { ...spec.resources, ...recordLocation(place) },
    notes: [
      `virtual machine ${place.names.machine} already exists (${machine.state})`,
      ...changedSince(spec, options),
    ],
    exists: true,
    make: (data, call) => resumeHost(api, place, machine, data, call),
  }
}

/** Dependencies of a plan. */
export interface PlanContext {
  readonly openApi: OpenApi
  readonly env: Environment
  readonly getCallerAddress: GetCallerAddress
}

/** See `Lifecycle.plan`. */
export async function planHost(
  { openApi, env, getCallerAddress }: PlanContext,
  spec: HostSpec,
  options: AzureOptions,
  call: Call,
): Promise<HostPlan> {
  validateOptions(options)
  await checkPrograms(options, env, call.signal)
  const place = await chooseLocation(spec, options, env, call)
  const api = openApi(place.account, call)
  const machine = await findVirtualMachine(api, place, call)
  if (machine !== undefined) {
    checkOwnedBy(spec.token, machine.tags, `the virtual machine ${place.names.machine}`)
  }
  if (machine !== undefined && machine.state !== 'Failed') {
    return planExisting(api, place, spec, machine, options)
  }
  checkSameTarget(place, options)
  const freshPlace = { ...place, isPrivate: options.privateOnly }
  const decision = await decide(api, freshPlace, spec, options, getCallerAddress, call)
  return {
    ...commonPlan(options.user),
    resources: {
      // Remove an earlier attempt's values that this attempt does not set.
      ...Object.fromEntries(Object.keys(spec.resources).map((key) => [key, undefined])),
      ...recordDecision(decision),
    },
    notes: describeDecision(decision),
    exists: false,
    make: (data, call) => createHost(api, decision, machine, data, call),
  }
}
