import type { HostFacts, BootstrapData, HostSpec, DriverState } from '../../driver.ts'
import { associateAddress, ensureAddress } from '../machine/address.ts'
import type { AwsOptions } from '../options.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { type IngressRules, ensureGroup } from '../network/firewall.ts'
import { type Instance, addressOf, waitForState } from './instance.ts'
import { ensureKeyPair } from './key-pair.ts'
import { launch } from './launch.ts'
import type { Decision } from './plan.ts'
import { startInstance } from '../machine/power.ts'
import { tagsFor } from './plan.ts'

/** A planned host. */
export interface Project {
  readonly wish: HostSpec
  readonly options: AwsOptions
  /** Recorded values and decisions. */
  readonly resources: DriverState
  readonly ingressRules: IngressRules | undefined
  /** The instance of an earlier attempt, or the decision what to launch. */
  readonly start: Instance | Decision
}

/**
 * Name of the security group and the key pair of a host, derived from the token so that a later
 * attempt finds them.
 */
const ownName = (token: string): string => `fleet-${token}`

/** Returns a function that records resources, adding to those recorded before. */
function keepRecord(seed: BootstrapData, resources: DriverState) {
  const all = { ...resources }
  return async (made: DriverState, id?: string): Promise<void> => {
    Object.assign(all, made)
    await seed.record({ ...(id !== undefined && { id }), resources: { ...all } })
  }
}

type Record_ = ReturnType<typeof keepRecord>

/** Creates the security group and the elastic IP of a host. */
async function makeSurroundings(ec2: Ec2, project: Project, record: Record_) {
  const { wish, options, resources, ingressRules } = project
  const { token } = wish
  const tags = tagsFor(wish, options)
  const { vpc = '' } = resources
  let group: string | undefined
  if (ingressRules !== undefined) {
    ec2.call.progress('security group')
    const wanted = { name: ownName(token), machine: wish.name, vpc, token, tags, ingressRules }
    group = await ensureGroup(ec2, wanted, (securityGroup) => record({ securityGroup }))
  }
  let allocation: string | undefined
  if (options.elasticIp) {
    ec2.call.progress('elastic IP')
    const isFirst = wish.resources['region'] === undefined && !('id' in project.start)
    allocation = await ensureAddress(ec2, { token, tags, isFirst })
    await record({ elasticIp: allocation })
  }
  return { group, allocation }
}

/** Launches the instance and returns its id. */
async function launchInstance(
  ec2: Ec2,
  { order, attempts }: Decision,
  {
    project,
    seed,
    group,
    record,
  }: {
    readonly project: Project
    readonly seed: BootstrapData
    readonly group: string | undefined
    readonly record: Record_
  },
): Promise<string> {
  const { token } = project.wish
  const { tags, keyPair = ownName(token) } = order
  if (order.keyPair === undefined) {
    ec2.call.progress('key pair')
    await ensureKeyPair(ec2, { name: keyPair, publicKey: seed.publicKey, token, tags })
    await record({ keyPair })
  }
  const groups = group === undefined ? order.groups : [group]
  const id = await launch(
    ec2,
    { ...order, groups, keyPair, userData: seed.userData },
    attempts,
    ({ place, market }) =>
      record({
        subnet: place.subnet,
        zone: place.zone,
        market,
        launch: String(order.launch),
        ...(order.terminationProtection && market === 'on-demand' && { protection: 'fleet' }),
      }),
  )
  await record({}, id)
  return id
}

/** Creates what does not exist yet of a host, and waits until it is running and has an address. */
export async function makeHost(
  ec2: Ec2,
  project: Project,
  seed: BootstrapData,
): Promise<HostFacts> {
  const { options, resources, start } = project
  const record = keepRecord(seed, resources)
  const { group, allocation } = await makeSurroundings(ec2, project, record)
  const id =
    'id' in start ? start.id : await launchInstance(ec2, start, { project, seed, group, record })
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
