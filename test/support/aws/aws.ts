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
import { Gate, type SettingChanges, changeSettings, checkDate, checkMfa } from './ec2/settings.ts'
import { type World, readWorld } from './ec2/world.ts'
import { type Tree, itemsOf, textOf, writeXml } from './http/xml.ts'

/** How to start a rig. */
export interface AwsOptions extends SettingChanges {
  /** Default eu-west-1. */
  readonly region?: string
  /**
   * What stands behind an instance. `none`: nothing, its addresses are loopback's and nobody answers. `lab`: a
   * host of test/support/lab, in less than a second, with what user-data says of the host key, accounts, keys,
   * groups and sudo. `booted`: a Debian that boots with the user-data given to real cloud-init, in 10 s. Default `none`.
   */
  readonly hosts?: 'none' | 'lab' | 'booted'
  /** For `lab`. */
  readonly lab?: LabHostOptions
}

/** An AWS account that is empty at first: moto, with a front that does what AWS does and moto does not. */
export interface Aws extends AsyncDisposable {
  /** What a client needs to reach it, and nothing else: endpoint, region, made-up credentials, no files, no IMDS. */
  readonly environment: Readonly<Record<string, string>>
  readonly region: string
  /** Every call since the start or the last `reset`, in the order in which they came. */
  readonly calls: readonly Call[]
  /** Makes something go wrong with calls to come. */
  inject(fault: Fault): void
  /** Ends all that was injected and has not happened yet, and all hooks. */
  mend(): void
  /** Has every call seen before and after its execution. Gives what ends that. */
  onCall(hook: CallHook): () => void
  /** Changes what the account is like from now on; the rest stays. */
  change(settings: SettingChanges): void
  /** What exists, asked of moto itself. */
  world(region?: string): Promise<World>
  /** An instance as the rig knows it; `instance.settled` resolves when its host has done what it was told. */
  instance(id: string): Instance
  /** Takes a spot instance back, as EC2 does when it wants the room. */
  reclaim(id: string): Promise<void>
  /** Back to the beginning: nothing exists, nothing was called, no faults and hooks, the settings of the start. */
  reset(): Promise<void>
}

const makeHosts = (options: AwsOptions): HostSource | Promise<HostSource> => {
  if (options.hosts === 'lab') return makeLabHosts(options.lab ?? {})
  return options.hosts === 'booted' ? makeBootedHosts() : makeNoHosts()
}

/** Credentials that open nothing. */
const credentials = {
  AWS_ACCESS_KEY_ID: 'AKIAMADEUP',
  AWS_SECRET_ACCESS_KEY: 'made-up',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
}

/** The regions there are; a call to another is refused, as it is for regions that an account has not opted in to. */
async function findRegions(moto: Moto, region: string): Promise<Set<string>> {
  const answer = await moto.ec2(region, { Action: 'DescribeRegions' })
  return new Set(itemsOf(answer, 'regionInfo').map((tree) => textOf(tree, 'regionName') ?? ''))
}

/** Starts a rig in the lab. It ends with this process at the latest. */
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
  const [gate, log, faults] = [new Gate(settings), new CallLog(), new FaultList()]
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

  /** Takes the hosts of all instances back, and throws what the rig itself could not do. */
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
    mend() {
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
