import type { Account, Ec2Call, Handler } from './account.ts'
import { admitLaunch, checkCapacity } from './admission.ts'
import type { ClientTokens } from './client-tokens.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import { images } from './images.ts'
import { Instance, type StateName, stateCodes } from './instance.ts'
import { filtersOf, listParameter, withFilters } from '../http/query.ts'
import { showInstance, showState } from './show-instance.ts'
import { type Tree, childOf, itemsOf, listOf, textOf } from '../http/xml.ts'

/** Filters that moto does not support, or that it applies to a future state. */
const ownFilters: Readonly<Record<string, (instance: Instance) => string | undefined>> = {
  'client-token': ({ plan }) => plan.token,
  'instance-state-name': ({ state }) => state,
  'instance-state-code': ({ state }) => stateCodes[state],
  'ip-address': ({ address }) => address,
  'private-ip-address': ({ plan }) => plan.host.privateAddress,
}

/** Splits a call into parameters that moto supports, and a predicate for the remaining filters. */
function splitFilters({ parameters }: Ec2Call) {
  const own: ((instance: Instance) => boolean)[] = []
  const rest = new Map<string, string[]>()
  for (const [name, values] of filtersOf(parameters)) {
    const read = ownFilters[name]
    if (read) own.push((instance) => values.includes(read(instance) ?? ''))
    else rest.set(name, values)
  }
  return {
    parameters: withFilters(parameters, rest),
    admits: (instance: Instance) => own.every((admit) => admit(instance)),
  }
}

/**
 * Updates the instances in a reservation to their current state, and removes those that are hidden or filtered out.
 * Returns whether any are left.
 */
function showList(
  { instances, hidden }: Account,
  holder: Tree,
  admits: (instance: Instance) => boolean,
): boolean {
  const shown = itemsOf(holder, 'instancesSet').filter((tree) => {
    const instance = instances.get(textOf(tree, 'instanceId') ?? '')
    if (!instance || hidden.has(instance.plan.id) || !admits(instance)) return false
    showInstance(tree, instance)
    return true
  })
  holder['instancesSet'] = listOf(shown)
  return shown.length > 0
}

const describeInstances: Handler = async (account, call) => {
  const { parameters, admits } = splitFilters(call)
  const answer = await account.moto.ec2(call.region, parameters)
  const reservations = itemsOf(answer, 'reservationSet')
  answer['reservationSet'] = listOf(reservations.filter((one) => showList(account, one, admits)))
  return answer
}

const describeInstanceStatus: Handler = async (account, call) => {
  const { parameters, admits } = splitFilters(call)
  const all = { ...parameters, IncludeAllInstances: 'true' }
  const answer = await account.moto.ec2(call.region, all)
  const isMeant = (instance: Instance) =>
    admits(instance) &&
    (parameters['IncludeAllInstances'] === 'true' || instance.state === 'running')
  const shown = itemsOf(answer, 'instanceStatusSet').filter((tree) => {
    const instance = account.instances.get(textOf(tree, 'instanceId') ?? '')
    if (!instance || account.hidden.has(instance.plan.id) || !isMeant(instance)) return false
    tree['instanceState'] = showState(instance.state)
    return true
  })
  answer['instanceStatusSet'] = listOf(shown)
  return answer
}

/** Assigns a host to a new instance and boots it. */
async function bring(
  account: Account,
  call: Ec2Call,
  tree: Tree,
  plan: Pick<Instance['plan'], 'groups' | 'isSpot' | 'type' | 'zone'>,
): Promise<Instance> {
  const { parameters, region } = call
  const id = textOf(tree, 'instanceId') ?? ''
  const instance = new Instance(
    {
      ...plan,
      id,
      region,
      token: parameters['ClientToken'],
      isPublic: textOf(tree, 'ipAddress') !== undefined,
      host: await account.hosts.lease(),
    },
    {
      settings: account.settings,
      newAddress: () => account.hosts.newAddress(),
      onFailure: account.onFailure,
    },
  )
  account.instances.set(id, instance)
  account.hidden.hide('instance', id, account.settings().lags.hidden)
  const seed = {
    userData: Buffer.from(parameters['UserData'] ?? '', 'base64'),
    user: images.find((image) => image.id === parameters['ImageId'])?.user ?? 'ec2-user',
    publicKey: account.publicKeys.get(`${region}/${parameters['KeyName'] ?? ''}`),
  }
  await instance.begin((host, address) => host.boot(seed, address))
  return instance
}

async function launch(account: Account, call: Ec2Call): Promise<Tree> {
  const { parameters, ...plan } = await admitLaunch(account, call)
  const answer = await account.moto.ec2(call.region, parameters)
  answer['groupSet'] = ''
  for (const tree of itemsOf(answer, 'instancesSet'))
    showInstance(tree, await bring(account, call, tree, plan))
  return answer
}

/** Returns the response to a repeated RunInstances call: the instances of the first call, in their current state. */
function repeat({ instances }: Account, first: Tree): Tree {
  const answer = structuredClone(first)
  for (const tree of itemsOf(answer, 'instancesSet')) {
    const instance = instances.get(textOf(tree, 'instanceId') ?? '')
    if (instance?.state === 'terminated')
      throw new Ec2Error(
        'IdempotentInstanceTerminated',
        'The client token you have provided is associated with an instance that has been terminated.',
      )
    if (instance) showInstance(tree, instance)
  }
  return answer
}

/**
 * Returns the handler for RunInstances, with client tokens. Launches run one at a time, because quotas count earlier
 * launches.
 */
function makeRunInstances(tokens: ClientTokens<Tree>): Handler {
  let last: Promise<unknown> = Promise.resolve()
  const launchInTurn: Handler = (account, call) => {
    const launched = last.then(() => launch(account, call))
    last = launched.catch(() => {})
    return launched
  }
  return async (account, call) => {
    if (!account.settings().clientTokens || call.parameters['DryRun'] === 'true')
      return launchInTurn(account, call)
    const { result, isRepeated } = await tokens.once(call.region, call.parameters, () =>
      launchInTurn(account, call),
    )
    return isRepeated ? repeat(account, result) : structuredClone(result)
  }
}

interface Change {
  /** States in which the call has an effect. */
  readonly from: readonly StateName[]
  /** States in which the call has no effect. */
  readonly idle: readonly StateName[]
  /** Completes "is not in a state from which it can be …". */
  readonly verb: string
  readonly act: (instance: Instance, account: Account, call: Ec2Call) => Promise<void> | void
}

const changes: Readonly<Record<string, Change>> = {
  StartInstances: {
    from: ['stopped'],
    idle: ['pending', 'running'],
    verb: 'started',
    act: (instance) => instance.begin((host, address) => host.start(address)),
  },
  StopInstances: {
    from: ['running'],
    idle: ['stopping', 'stopped'],
    verb: 'stopped',
    act: (instance, _account, { parameters }) => instance.stop(parameters['Force'] === 'true'),
  },
  RebootInstances: {
    from: ['running'],
    idle: [],
    verb: 'rebooted',
    act: (instance) => instance.reboot(),
  },
  TerminateInstances: {
    from: ['pending', 'running', 'stopping', 'stopped'],
    idle: ['shutting-down', 'terminated'],
    verb: 'terminated',
    act: async (instance, account, { region }) => {
      await freeElasticAddresses(account, region, instance.plan.id)
      instance.terminate()
    },
  },
}

/** moto leaves an elastic address associated with a terminated instance; AWS does not. */
async function freeElasticAddresses({ moto }: Account, region: string, id: string): Promise<void> {
  const answer = await moto.ec2(region, { Action: 'DescribeAddresses' })
  for (const address of itemsOf(answer, 'addressesSet')) {
    const association = textOf(address, 'associationId')
    if (textOf(address, 'instanceId') === id && association !== undefined)
      await moto.ec2(region, { Action: 'DisassociateAddress', AssociationId: association })
  }
}

function checkState(instance: Instance, { from, idle, verb }: Change): void {
  const { state, plan } = instance
  if ([...from, ...idle].includes(state)) return
  throw new Ec2Error(
    'IncorrectInstanceState',
    state === 'pending' && verb === 'stopped'
      ? `Instance '${plan.id}' cannot be stopped as it has never reached the 'running' state.`
      : `The instance '${plan.id}' is not in a state from which it can be ${verb}.`,
  )
}

/**
 * Rejects the termination of instances if one of them is protected: no instance in its zone is terminated (EC2 API
 * reference, TerminateInstances). moto would terminate some.
 */
async function checkProtection(
  { moto }: Account,
  region: string,
  instances: readonly Instance[],
): Promise<void> {
  for (const { plan } of instances) {
    const answer = await moto.ec2(region, {
      Action: 'DescribeInstanceAttribute',
      InstanceId: plan.id,
      Attribute: 'disableApiTermination',
    })
    if (textOf(childOf(answer, 'disableApiTermination'), 'value') === 'true')
      throw new Ec2Error(
        'OperationNotPermitted',
        `The instance '${plan.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
      )
  }
}

/**
 * Starts, stops, reboots or terminates instances: all of them, or none if the state of any of them does not permit it.
 */
const changeInstances: Handler = async (account, call) => {
  const { parameters, region } = call
  const action = parameters['Action'] ?? ''
  const change = changes[action]
  if (!change) throw new Ec2Error('InvalidAction')
  const ids = listParameter(parameters, 'InstanceId')
  const instances = ids.map((id) => {
    const instance = account.instances.get(id)
    if (instance?.plan.region === region) return instance
    throw /^i-[0-9a-f]{8,17}$/.test(id)
      ? new Ec2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`)
      : new Ec2Error('InvalidInstanceID.Malformed', `Invalid id: "${id}"`)
  })
  if (parameters['DryRun'] === 'true') throw new Ec2Error('DryRunOperation')
  if (account.settings().stateChecks) for (const one of instances) checkState(one, change)
  if (action === 'StartInstances')
    for (const { plan } of instances) checkCapacity(account, plan.zone, plan.type, plan.isSpot)
  const moving = instances.filter(({ state }) => change.from.includes(state))
  if (action === 'TerminateInstances' && moving.length > 1)
    await checkProtection(account, region, moving)
  const before = new Map(instances.map(({ plan, state }) => [plan.id, state]))
  if (moving.length > 0) {
    const some = Object.entries(parameters).filter(([name]) => !name.startsWith('InstanceId.'))
    const meant = moving.map(({ plan }, index) => [`InstanceId.${index + 1}`, plan.id])
    await account.moto.ec2(region, Object.fromEntries([...some, ...meant]) as Ec2Call['parameters'])
  }
  for (const instance of moving) await change.act(instance, account, call)
  if (action === 'RebootInstances') return { return: 'true' }
  const list = instances.map(({ plan, state }) => ({
    instanceId: plan.id,
    currentState: showState(state),
    previousState: showState(before.get(plan.id) ?? state),
  }))
  return { instancesSet: listOf(list) }
}

/** Maximum number of groups that an interface can have (VPC user guide, "Amazon VPC quotas"). */
const maxGroups = 5

/** Checks new groups of an instance. moto ignores groups that do not exist, and does not limit their number. */
async function checkNewGroups(
  { moto }: Account,
  region: string,
  groups: readonly string[],
): Promise<void> {
  if (groups.length > maxGroups) throw new Ec2Error('SecurityGroupsPerInterfaceLimitExceeded')
  const all = await moto.ec2(region, { Action: 'DescribeSecurityGroups' })
  const existing = new Set(itemsOf(all, 'securityGroupInfo').map((tree) => textOf(tree, 'groupId')))
  const missing = groups.find((id) => !existing.has(id))
  if (missing !== undefined)
    throw new Ec2Error('InvalidGroup.NotFound', `The security group '${missing}' does not exist`)
}

/** Changes the groups or attributes of an instance; as in EC2, the type changes only while the instance is stopped. */
const modifyInstanceAttribute: Handler = async (account, { region, parameters }) => {
  const instance = account.instances.get(parameters['InstanceId'] ?? '')
  const groups = listParameter(parameters, 'GroupId')
  if (instance && groups.length > 0) {
    await checkNewGroups(account, region, groups)
    instance.groups = groups
  }
  if (parameters['InstanceType.Value'] !== undefined && instance?.state !== 'stopped')
    throw new Ec2Error(
      'IncorrectInstanceState',
      `The instance '${parameters['InstanceId']}' is not in the 'stopped' state.`,
    )
  return account.moto.ec2(region, parameters)
}

/** Handlers of calls for instances. */
export const instanceHandlers = (tokens: ClientTokens<Tree>): Record<string, Handler> => ({
  RunInstances: makeRunInstances(tokens),
  DescribeInstances: describeInstances,
  DescribeInstanceStatus: describeInstanceStatus,
  ModifyInstanceAttribute: modifyInstanceAttribute,
  ...Object.fromEntries(Object.keys(changes).map((action) => [action, changeInstances])),
})

/** Returns the instances that use a security group, or used it until recently (`lags.groupHeld`). */
export const holdersOf = ({ instances, settings }: Account, group: string): Instance[] =>
  [...instances.values()].filter(
    ({ groups, terminatedAt }) =>
      groups.includes(group) &&
      (terminatedAt === undefined || performance.now() - terminatedAt < settings().lags.groupHeld),
  )
