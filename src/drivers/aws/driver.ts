import { UserError } from '../../errors.ts'
import { type HostRecord, mergeResources } from '../../machine/machine.ts'
import type { Ask, Call, Driver, HostPlan, HostSpec, DriverState } from '../driver.ts'
import { type GetCallerAddress, cacheCallerAddress } from '../net/caller-address.ts'
import type { AwsOptions } from './options.ts'
import { checkOwnedBy } from '../ownership.ts'
import { type Account, type Ec2, type Ec2Api, openEc2Api, readAccount } from './api/ec2-api.ts'
import type { ErrorContext } from './api/error-codes.ts'
import { explainError } from './api/errors.ts'
import { byId, findInstances } from './create/instance.ts'
import { listHosts } from './machine/list.ts'
import { createHost } from './create/make.ts'
import { observeHosts } from './machine/observe.ts'
import { type IngressRules, allowsSsh } from './network/security-groups.ts'
import { decideIngressRules } from './network/ingress-rules.ts'
import { changeHost } from './machine/change.ts'
import { compareHost } from './machine/compare.ts'
import { type Decision, decide, findEarlier } from './create/plan.ts'
import { explainRegionError } from './regions.ts'
import { describeExistingInstance } from './create/describe-existing.ts'
import { restartInstance, startInstance, stopInstance } from './machine/power.ts'
import { removeHost } from './machine/remove.ts'
import { joinPeerGroup, leavePeerGroup, observePeerGroup } from './network/peer-groups.ts'
import { tagsByKey } from './tags.ts'
import { recordedSshAccess } from '../net/ssh-access.ts'
import { checkPrograms, reachNotes, recordedReach } from './create/reach-option.ts'
import { validateOptions } from './create/validate-options.ts'
import type { Environment } from '../../os/environment.ts'

/**
 * EC2's limit for user data before base64 encoding, in bytes (EC2 user guide, "Run commands when you launch an EC2
 * instance with user data input").
 */
const maxUserData = 16_384

/** Runs `work` and turns AWS errors into errors for the user. */
async function withExplainedErrors<Value>(
  concern: ErrorContext,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw explainError(error, concern)
  }
}

/**
 * Chooses the account and region of a new host. Throws kind `usage` if no region is configured, or
 * if an earlier attempt used another account or region.
 */
async function decideAccount(
  api: Ec2Api,
  recorded: DriverState,
  options: Pick<Partial<AwsOptions>, 'region' | 'profile'>,
): Promise<Account> {
  readAccount(recorded)
  for (const key of ['region', 'profile'] as const) {
    const [recordedValue, wanted] = [recorded[key], options[key]]
    if (recordedValue === undefined || wanted === undefined || wanted === recordedValue) continue
    throw new UserError(
      'usage',
      `fleet started creating the machine with ${key} ${recordedValue}, but the ${key} is now ${wanted}`,
      {
        hint: `use --${key} ${recordedValue}, or remove the machine first: fleet rm NAME`,
      },
    )
  }
  const profile = recorded['profile'] ?? options.profile
  const region = recorded['region'] ?? options.region
  if (region !== undefined) return { region, profile }
  return {
    profile,
    region: await api.defaultRegion(profile).catch((error: unknown) => {
      throw new UserError('usage', 'no AWS region is configured', {
        hint: "specify a region, for example --region eu-west-1, or set AWS_REGION or your profile's region",
        cause: error,
      })
    }),
  }
}

/** Returns the decisions to record for an instance that will be launched. */
const decisionResources = (
  { launchSpec, attempts }: Decision,
  options: AwsOptions,
): DriverState => ({
  image: launchSpec.image.id,
  release: options.image,
  disk: String(options.disk),
  ...(options.tags !== undefined && { tags: options.tags }),
  ...(options.cpuCredits !== undefined && { credits: options.cpuCredits }),
  ...(options.shutdownBehaviour !== 'stop' && { shutdown: options.shutdownBehaviour }),
  ...(attempts[0] !== undefined && { vpc: attempts[0].placement.vpc }),
})

/** Returns the ingress rules to record, so that later changes know what fleet opened. */
const ingressResources = (
  ingressRules: IngressRules | undefined,
  { ports }: AwsOptions,
): HostPlan['resources'] =>
  ingressRules === undefined
    ? {}
    : {
        sshCidr: ingressRules.sshCidrs.join(',') || undefined,
        ...(ports !== undefined && { ports }),
      }

const describe = ({ launchSpec, attempts: [first] }: Decision): string =>
  `${launchSpec.type}${first?.market === 'spot' ? ' (spot)' : ''} in ${first?.placement.zone} from ${launchSpec.image.name} (${launchSpec.image.id})`

/** Dependencies of a plan. */
interface PlanContext {
  readonly api: Ec2Api
  readonly env: Environment
  readonly getCallerAddress: GetCallerAddress
}

async function planHost(
  { api, env, getCallerAddress }: PlanContext,
  spec: HostSpec,
  options: AwsOptions,
  call: Call,
): Promise<HostPlan> {
  validateOptions(options)
  await checkPrograms(options, env)
  const account = await decideAccount(api, spec.resources, options)
  const { region, profile } = account
  return withExplainedErrors(account, async () => {
    const ec2 = api.at(account, call)
    const { alive, launch } = await findEarlier(ec2, spec).catch(async (error: unknown) => {
      throw await explainRegionError(api, account, error, call)
    })
    const decision = alive === undefined ? await decide(ec2, spec, options, launch) : undefined
    const placements = decision?.attempts.map(({ placement }) => placement) ?? []
    const families = {
      ipv4: decision === undefined || placements.some(({ ipv4 }) => ipv4),
      ipv6: placements.some(({ ipv6 }) => ipv6),
    }
    const { ingressRules, notes } = await decideIngressRules(
      options,
      families,
      getCallerAddress,
      call,
    )
    const resources = {
      ...spec.resources,
      region,
      access: options.privateOnly ? 'private' : 'public',
      reach: recordedReach(options),
      ...(profile !== undefined && { profile }),
      ...(alive?.vpc !== undefined && { vpc: alive.vpc }),
      ...(decision !== undefined && decisionResources(decision, options)),
      ...ingressResources(ingressRules, options),
    }
    return {
      resources,
      user: options.user,
      userData: { maxBytes: maxUserData, gzip: true },
      notes: [
        decision === undefined ? `existing instance ${alive?.id} in ${region}` : describe(decision),
        ...(decision?.notes ?? []),
        ...notes,
        ...reachNotes(options),
      ],
      exists: alive !== undefined,
      make: (data, makeCall) => {
        const start = alive ?? decision
        if (start === undefined)
          throw new TypeError('the plan has neither an instance nor a launch decision')
        const planned = {
          spec,
          options,
          resources: mergeResources({}, resources),
          ingressRules,
          start,
        }
        return withExplainedErrors(account, () =>
          createHost(api.at(account, makeCall), planned, data),
        )
      },
    }
  })
}

/** Opens EC2 in a host's account and region; returns `undefined` if they have not been recorded yet. */
function openEc2(api: Ec2Api, { resources = {} }: HostRecord, call: Call): Ec2 | undefined {
  const account = readAccount(resources)
  return account === undefined ? undefined : api.at(account, call)
}

/** Runs an operation on a host's instance. */
function withInstance(api: Ec2Api, work: (ec2: Ec2, id: string) => Promise<void>) {
  return async (host: HostRecord, call: Call): Promise<void> => {
    const ec2 = openEc2(api, host, call)
    const { id } = host
    if (ec2 === undefined || id === undefined) {
      throw new UserError('failed', 'the machine has no instance yet', {
        hint: 'to finish creating the machine, run fleet create again',
      })
    }
    await withExplainedErrors(ec2, async () => {
      const [instance] = await findInstances(ec2, byId(id))
      if (instance !== undefined) {
        checkOwnedBy(host.token, tagsByKey(instance.tags), `instance ${id}`)
      }
      await work(ec2, id)
    })
  }
}

/** Creates the Amazon EC2 driver for the environment `env`. `ask` prompts for one-time passwords. */
export function awsDriver(env: Environment, ask?: Ask): Driver<AwsOptions> {
  const api = openEc2Api(ask)
  const getCallerAddress = cacheCallerAddress(env)
  return {
    describeExisting: async (id, options, call) => {
      const account = await decideAccount(api, {}, options)
      return withExplainedErrors(account, () =>
        describeExistingInstance(api.at(account, call), id, options),
      )
    },
    observe: (hosts, call) => observeHosts(api, hosts, call),
    lifecycle: {
      plan: (spec, options, call) => planHost({ api, env, getCallerAddress }, spec, options, call),
      async remove(host, call) {
        if (host.token === undefined) return // fleet did not create the host
        const ec2 = openEc2(api, host, call)
        if (ec2 === undefined) return // nothing was created, because the region is recorded first
        await withExplainedErrors(ec2, () => removeHost(ec2, host, host.resources ?? {}))
      },
      list: (fleet, call) => listHosts(api, fleet, call),
    },
    update: {
      disks: ['disk'],
      async compare(host, options, status, call) {
        const ec2 = openEc2(api, host, call)
        if (ec2 === undefined) return []
        return withExplainedErrors(ec2, () => compareHost(ec2, host, options, status))
      },
      async change(host, spec, call) {
        const ec2 = openEc2(api, host, call)
        if (ec2 === undefined) return {}
        return withExplainedErrors(ec2, () => changeHost(ec2, host, spec))
      },
    },
    sshAccess: recordedSshAccess(getCallerAddress, async (host, range, call) => {
      const ec2 = openEc2(api, host, call)
      const group = host.resources?.['securityGroup']
      if (ec2 === undefined || group === undefined) return undefined
      const isAllowed = await withExplainedErrors(ec2, () => allowsSsh(ec2, group, range))
      return isAllowed ? undefined : `the security group ${group}`
    }),
    peerAccess: {
      observe: (hosts, group, call) =>
        withExplainedErrors({}, () => observePeerGroup(api, hosts, group, call)),
      async open(host, group, record, call) {
        const ec2 = openEc2(api, host, call)
        if (ec2 === undefined || host.token === undefined) return
        await withExplainedErrors(ec2, () => joinPeerGroup(ec2, host, group, record))
      },
      async close(host, group, call) {
        const ec2 = openEc2(api, host, call)
        if (ec2 === undefined || host.token === undefined) return {}
        return withExplainedErrors(ec2, () => leavePeerGroup(ec2, host, group))
      },
    },
    power: {
      start: withInstance(api, startInstance),
      stop: withInstance(api, (ec2, id) => stopInstance(ec2, id, { force: false })),
      restart: withInstance(api, restartInstance),
      kill: withInstance(api, (ec2, id) => stopInstance(ec2, id, { force: true })),
    },
  }
}
