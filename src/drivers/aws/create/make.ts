import type { HostFacts, BootstrapData, HostSpec, DriverState } from '../../driver.ts'
import { associateAddress, ensureAddress } from '../machine/address.ts'
import type { AwsOptions } from '../options.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { type IngressRules, ensureGroup } from '../network/security-groups.ts'
import { type Instance, addressOf, waitForState } from './instance.ts'
import { ensureKeyPair } from './key-pair.ts'
import { launch } from './launch.ts'
import type { Decision } from './plan.ts'
import { startInstance } from '../machine/power.ts'
import { tagsFor } from './plan.ts'

/** A planned host. */
export interface PlannedHost {
  readonly spec: HostSpec
  readonly options: AwsOptions
  /** The values to record: values from earlier attempts, and the plan's decisions. */
  readonly resources: DriverState
  readonly ingressRules: IngressRules | undefined
  /** The instance from an earlier attempt, or the decision on what to launch. */
  readonly start: Instance | Decision
}

/**
 * Returns the name of a host's security group and key pair. It is derived from the token, so a later attempt finds
 * both.
 */
const ownName = (token: string): string => `fleet-${token}`

/** Returns a function that records resources in addition to those recorded earlier. */
function createRecorder(data: BootstrapData, resources: DriverState) {
  const all = { ...resources }
  return async (created: DriverState, id?: string): Promise<void> => {
    Object.assign(all, created)
    await data.record({ ...(id !== undefined && { id }), resources: { ...all } })
  }
}

type RecordResources = ReturnType<typeof createRecorder>

/** Creates a host's security group and Elastic IP. */
async function createGroupAndAddress(ec2: Ec2, planned: PlannedHost, record: RecordResources) {
  const { spec, options, resources, ingressRules } = planned
  const { token } = spec
  const tags = tagsFor(spec, options)
  const { vpc = '' } = resources
  let group: string | undefined
  if (ingressRules !== undefined) {
    ec2.call.progress('create the security group')
    const wanted = { name: ownName(token), machine: spec.name, vpc, token, tags, ingressRules }
    group = await ensureGroup(ec2, wanted, (securityGroup) => record({ securityGroup }))
  }
  let allocation: string | undefined
  if (options.elasticIp) {
    ec2.call.progress('allocate an Elastic IP')
    const isFirst = spec.resources['region'] === undefined && !('id' in planned.start)
    allocation = await ensureAddress(ec2, { token, tags, isFirst })
    await record({ elasticIp: allocation })
  }
  return { group, allocation }
}

/** Launches the instance and returns its ID. */
async function launchInstance(
  ec2: Ec2,
  { launchSpec, attempts }: Decision,
  {
    planned,
    data,
    group,
    record,
  }: {
    readonly planned: PlannedHost
    readonly data: BootstrapData
    readonly group: string | undefined
    readonly record: RecordResources
  },
): Promise<string> {
  const { token } = planned.spec
  const { tags, keyPair = ownName(token) } = launchSpec
  if (launchSpec.keyPair === undefined) {
    ec2.call.progress('create the key pair')
    await ensureKeyPair(ec2, { name: keyPair, publicKey: data.publicKey, token, tags })
    await record({ keyPair })
  }
  const groups = group === undefined ? launchSpec.groups : [group]
  const id = await launch(
    ec2,
    { ...launchSpec, groups, keyPair, userData: data.userData },
    attempts,
    ({ placement, market }) =>
      record({
        subnet: placement.subnet,
        zone: placement.zone,
        market,
        launch: String(launchSpec.launch),
        ...(launchSpec.terminationProtection && market === 'on-demand' && { protection: 'fleet' }),
      }),
  )
  await record({}, id)
  return id
}

/** Creates a host's missing resources, and waits until the host is running and has an address. */
export async function createHost(
  ec2: Ec2,
  planned: PlannedHost,
  data: BootstrapData,
): Promise<HostFacts> {
  const { options, resources, start } = planned
  const record = createRecorder(data, resources)
  const { group, allocation } = await createGroupAndAddress(ec2, planned, record)
  const id =
    'id' in start ? start.id : await launchInstance(ec2, start, { planned, data, group, record })
  if ('id' in start) {
    await record({}, id)
    await startInstance(ec2, id)
  }
  const { access } = resources
  if (allocation !== undefined) {
    await waitForState(ec2, id, 'running')
    await associateAddress(ec2, allocation, id)
  }
  const instance = await waitForState(
    ec2,
    id,
    'running',
    (one) => addressOf(one, access) !== undefined,
  )
  const address = addressOf(instance, access)
  return { id, ...(address !== undefined && { address }), user: options.user }
}
