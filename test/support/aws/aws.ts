import type { Account } from './ec2/account.ts'
import { makeBootedHosts } from './hosts/booted-hosts.ts'
import { type Call, CallLog } from './http/call-log.ts'
import { ClientTokens } from './ec2/client-tokens.ts'
import { MissingDefaultVpcs } from './ec2/default-vpc.ts'
import { makeEc2 } from './ec2/ec2.ts'
import { Ec2Error } from './http/ec2-error.ts'
import { type Fault, FaultList } from './http/faults.ts'
import { type CallHook, type Request, startFront } from './http/front.ts'
import { Hidden } from './ec2/hidden.ts'
import { type HostSource, makeNoHosts } from './hosts/hosts.ts'
import type { Instance } from './ec2/instance.ts'
import { type LabHostOptions, makeLabHosts } from './hosts/lab-hosts.ts'
import { type Answer, type Moto, startMoto } from './moto/moto.ts'
import {
  CallFilter,
  type SettingChanges,
  changeSettings,
  checkDate,
  checkMfa,
} from './ec2/settings.ts'
import { type World, readWorld } from './ec2/world.ts'
import { type Tree, itemsOf, textOf, writeXml } from './http/xml.ts'

/** Options of the AWS test double. */
export interface AwsOptions extends SettingChanges {
  /** The region (default: eu-west-1). */
  readonly region?: string
  /**
   * The hosts of instances. `none`: no hosts; addresses are on loopback, where nothing listens.
   * `lab`: hosts of test/support/lab, which boot in less than a second and apply the host key,
   * accounts, keys, groups and sudo rules in user-data. `booted`: Debian hosts, which boot with real
   * cloud-init and the user-data in 10 s. Default `none`.
   */
  readonly hosts?: 'none' | 'lab' | 'booted'
  /** Options for the `lab` hosts. */
  readonly lab?: LabHostOptions
}

/**
 * An initially empty AWS account: moto, behind a server that adds the behavior of AWS that moto
 * does not have.
 */
export interface Aws extends AsyncDisposable {
  /**
   * Environment variables for a client: the endpoint, the region and fake credentials. They disable configuration files
   * and IMDS.
   */
  readonly environment: Readonly<Record<string, string>>
  readonly region: string
  /** Every call since the start or the last `reset`, in order. */
  readonly calls: readonly Call[]
  /** Injects a fault into future calls. */
  inject(fault: Fault): void
  /** Removes all pending faults and hooks. */
  clearFaults(): void
  /**
   * Registers a hook that is called before and after the execution of every call. Returns a
   * function that removes it.
   */
  onCall(hook: CallHook): () => void
  /** Changes settings; the others are kept. */
  change(settings: SettingChanges): void
  /** Resolves to the resources that exist according to moto. */
  world(region?: string): Promise<World>
  /** Returns an instance of the test double; `instance.settled` resolves when its host has completed all operations. */
  instance(id: string): Instance
  /** Interrupts a spot instance. */
  reclaim(id: string): Promise<void>
  /** Resets everything: resources, calls, faults, hooks, settings. */
  reset(): Promise<void>
}

const makeHosts = (options: AwsOptions): HostSource | Promise<HostSource> => {
  if (options.hosts === 'lab') return makeLabHosts(options.lab ?? {})
  return options.hosts === 'booted' ? makeBootedHosts() : makeNoHosts()
}

/** Invalid credentials. */
const credentials = {
  AWS_ACCESS_KEY_ID: 'AKIAMADEUP',
  AWS_SECRET_ACCESS_KEY: 'made-up',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
}

/** Resolves to the regions of the account. Calls to any other region are rejected, as for a region without opt-in. */
async function findRegions(moto: Moto, region: string): Promise<Set<string>> {
  const answer = await moto.ec2(region, { Action: 'DescribeRegions' })
  return new Set(itemsOf(answer, 'regionInfo').map((tree) => textOf(tree, 'regionName') ?? ''))
}

/** Starts the test double in the lab. It is stopped when this process exits, at the latest. */
export async function startAws(options: AwsOptions = {}): Promise<Aws> {
  const { region = 'eu-west-1', hosts: _hosts, lab: _lab, ...changes } = options
  const initial = changeSettings(changes)
  let settings = initial
  const [moto, hosts] = await Promise.all([startMoto(), makeHosts(options)])
  const regions = await findRegions(moto, region)
  const failures: unknown[] = []
  const onFailure = (error: unknown) => void failures.push(error)
  const account: Account = {
    moto,
    hosts,
    settings: () => settings,
    hidden: new Hidden(),
    instances: new Map(),
    publicKeys: new Map(),
    elastic: new Map(),
    onFailure,
  }
  const tokens = new ClientTokens<Tree>()
  const ec2 = makeEc2(account, tokens)
  const vpcs = new MissingDefaultVpcs(moto)
  const [gate, log, faults] = [new CallFilter(settings), new CallLog(), new FaultList()]
  const hooks = new Set<CallHook>()

  const execute = async ({ call, headers, body }: Request): Promise<Answer> => {
    if (!regions.has(call.region)) throw new Ec2Error('AuthFailure')
    if (call.service !== 'ec2') return moto.forward(headers, body)
    if (!settings.defaultVpc) await vpcs.remove(call.region)
    const tree = await ec2({ region: call.region, parameters: call.parameters })
    return { status: 200, type: 'text/xml', body: writeXml(`${call.action}Response`, tree) }
  }
  const admit = ({ action, parameters }: Call, date: string | undefined) => {
    checkDate(date, settings)
    checkMfa(parameters, settings)
    gate.check(action, performance.now())
  }
  const now = () => Date.now() + settings.clockAhead
  const { server, url } = await startFront({ log, faults, hooks, admit, now, execute }, onFailure)

  /** Releases the hosts of all instances, and throws any errors of the test double itself. */
  const clear = async () => {
    const instances = [...account.instances.values()]
    for (const one of instances) if (one.state !== 'terminated') one.terminate()
    await Promise.all(instances.map(({ settled }) => settled))
    if (failures.length > 0)
      throw new AggregateError(failures.splice(0), 'the AWS rig itself failed')
  }
  const change = (changes: SettingChanges) => {
    settings = changeSettings(changes, settings)
    gate.change(settings)
  }
  return {
    environment: { ...credentials, AWS_ENDPOINT_URL: url, AWS_REGION: region },
    region,
    get calls() {
      return log.calls
    },
    inject: (fault) => faults.add(fault),
    clearFaults() {
      faults.clear()
      hooks.clear()
    },
    onCall(hook) {
      hooks.add(hook)
      return () => hooks.delete(hook)
    },
    change,
    world: (where = region) => readWorld(moto, where),
    instance(id) {
      const instance = account.instances.get(id)
      if (!instance) throw new Error(`no instance ${id}`)
      return instance
    },
    async reclaim(id) {
      const instance = account.instances.get(id)
      if (!instance) throw new Error(`no instance ${id}`)
      instance.reclaim()
      await moto.ec2(instance.plan.region, { Action: 'TerminateInstances', 'InstanceId.1': id })
    },
    async reset() {
      hooks.clear()
      await clear()
      await moto.reset()
      for (const memory of [account.instances, account.publicKeys, account.elastic]) memory.clear()
      for (const memory of [account.hidden, tokens, vpcs, log, faults]) memory.clear()
      settings = initial
      gate.change(settings)
    },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      try {
        await clear()
      } finally {
        await hosts[Symbol.asyncDispose]()
        await moto[Symbol.asyncDispose]()
      }
    },
  }
}
