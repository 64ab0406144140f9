import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../errors.ts'
import { type HostRecord, mergeResources } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { checkOptions } from '../options/option-flags.ts'
import type {
  Call,
  Driver,
  DriverDefinition,
  FoundHost,
  HostFacts,
  HostPlan,
  BootstrapData,
  Lifecycle,
} from '../driver.ts'
import { type LifecycleUnderTest, driverFolder } from './driver-under-test.ts'

/** A fault during an attempt to create a host. */
export interface Fault {
  readonly signal?: AbortSignal
  readonly progress?: Call['progress']
  /**
   * Called before the `step`-th record, counted from 1. If it throws, nothing is recorded and the
   * driver gets the error.
   */
  readonly beforeRecord?: (step: number) => void
  readonly afterRecord?: (step: number) => void
  /** Whether the bootstrap data is empty, as on a computer that did not start the creation. */
  readonly lacksBootstrapData?: boolean
}

/** The creation of one host, simulating how fleet creates hosts. The host's record is kept between attempts. */
export interface Creation {
  readonly fleet: string
  readonly name: MachineName
  readonly tags: Readonly<Record<string, string>>
  /** The current record in the inventory. */
  readonly record: () => HostRecord
  readonly plan: (call?: Call) => Promise<HostPlan>
  /** Calls `plan`, then `make`. */
  readonly make: (fault?: Fault) => Promise<HostFacts>
  readonly remove: (call?: Call) => Promise<void>
  /** The hosts that the driver lists for this fleet. */
  readonly list: () => Promise<readonly FoundHost[]>
  /** Discards what was recorded, like a process that is killed before it can write the record. */
  readonly forget: () => void
}

/** The driver under test, for one case. */
export interface Harness {
  readonly driver: Driver
  readonly lifecycle: Lifecycle
  /** Starts the creation of a host, in a new fleet unless `fleet` is given. */
  readonly begin: (name: string, fleet?: string) => Creation
  /** Sorted IDs of all resources at the provider. */
  readonly listResources: () => Promise<readonly string[]>
}

/** Returns a call, by default one that is never aborted and ignores progress. */
export const callOf = ({ signal, progress }: Pick<Fault, 'signal' | 'progress'> = {}): Call => ({
  signal: signal ?? new AbortController().signal,
  progress: progress ?? (() => {}),
})

/** Generates a key pair and returns its public key, `ssh-ed25519 AAAA…` (RFC 8709). */
function generatePublicKey(): string {
  const { publicKey } = generateKeyPairSync('ed25519')
  const key = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  const parts = [Buffer.from('ssh-ed25519'), key].flatMap((part) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.length)
    return [length, part]
  })
  return `ssh-ed25519 ${Buffer.concat(parts).toString('base64')}`
}

/** The fields of bootstrap data that the suite provides. */
type BootstrapFields = Pick<BootstrapData, 'publicKey' | 'userData' | 'disk'>

/** The bootstrap data that fleet passes for an existing host whose creation another computer started. */
const emptyBootstrapData = { publicKey: '', userData: new Uint8Array() }

async function createBootstrapData(
  subject: LifecycleUnderTest,
  plan: HostPlan,
): Promise<BootstrapFields> {
  if (subject.bootstrapData !== undefined) return subject.bootstrapData(plan)
  const publicKey = generatePublicKey()
  const config = { users: [{ name: plan.user, ssh_authorized_keys: [publicKey] }] }
  return { publicKey, userData: Buffer.from(`#cloud-config\n${JSON.stringify(config)}\n`) }
}

function begin(
  lifecycle: Lifecycle,
  subject: LifecycleUnderTest,
  {
    name: text,
    fleet,
    options,
  }: { name: string; fleet: string; options: Readonly<Record<string, unknown>> },
): Creation {
  const name = text as MachineName
  const token = randomUUID()
  const fresh: HostRecord = { phase: 'creating', token }
  let record = fresh
  let data: BootstrapFields | undefined
  const tags = { fleet: 'true', 'fleet:id': fleet, 'fleet:machine': name, 'fleet:token': token }
  const save = ({
    resources,
    ...rest
  }: Omit<Partial<HostRecord>, 'resources'> & {
    readonly resources?: HostPlan['resources']
  }): void => {
    record = { ...record, ...rest, resources: mergeResources(record.resources, resources) }
  }
  const plan = (call = callOf()): Promise<HostPlan> => {
    const { resources = {}, id } = record
    return lifecycle.plan({ name, token, tags, resources, id }, options, call)
  }
  return {
    fleet,
    name,
    tags,
    plan,
    record: () => record,
    async make({ beforeRecord, afterRecord, lacksBootstrapData, ...fault } = {}) {
      const call = callOf(fault)
      const planned = await plan(call)
      save({ user: planned.user, resources: planned.resources })
      data ??= await createBootstrapData(subject, planned)
      let step = 0
      const facts = await planned.make(
        {
          ...(lacksBootstrapData ? emptyBootstrapData : data),
          async record({ id, resources }) {
            step += 1
            beforeRecord?.(step)
            save({ ...(id !== undefined && { id }), ...(resources && { resources }) })
            afterRecord?.(step)
          },
        },
        call,
      )
      save(facts)
      return facts
    },
    remove: (call = callOf()) => lifecycle.remove(record, call),
    list: () => lifecycle.list({ id: fleet, options: [subject.options] }, callOf()),
    forget: () => {
      record = fresh
    },
  }
}

/** Runs `work` with the driver, and deletes all hosts afterwards. */
export async function withHarness(
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
  work: (harness: Harness) => Promise<void>,
): Promise<void> {
  const driver = await definition.load(driverFolder, { env: process.env })
  const { lifecycle } = driver
  assert.ok(lifecycle, 'the driver has no lifecycle')
  const options = checkOptions(definition, subject.options)
  const creations: Creation[] = []
  try {
    await work({
      driver,
      lifecycle,
      begin(name, fleet = randomBytes(4).toString('hex')) {
        const creation = begin(lifecycle, subject, { name, fleet, options })
        creations.push(creation)
        return creation
      },
      listResources: async () => (await subject.listResources()).map(({ id }) => id).sort(),
    })
  } finally {
    for (const creation of creations) await creation.remove().catch(() => {})
  }
}

/** Returns the only host that the driver lists for a creation's fleet. Rejects if there is not exactly one. */
export async function findOnly(creation: Creation): Promise<FoundHost> {
  const found = await creation.list()
  assert.equal(found.length, 1, `one host was created, but list returned ${found.length}`)
  const [host] = found as [FoundHost]
  if (host.tags !== undefined) {
    const { token, tags } = host
    assert.equal(tags['fleet:token'], token, 'list must return the tags that were passed to plan')
  }
  return host
}

/**
 * Resolves to the outcome of `work`, `rejected` or `resolved`; rejects if `work` takes longer than `ms` milliseconds.
 */
export async function settle(work: Promise<unknown>, ms: number, what: string): Promise<string> {
  const timer = new AbortController()
  const timeout = sleep(ms, undefined, { signal: timer.signal }).then(
    () => assert.fail(`${what} was still running ${ms} ms after the abort`),
    () => 'aborted',
  )
  const ended = work.then(
    () => 'resolved',
    () => 'rejected',
  )
  try {
    return await Promise.race([ended, timeout])
  } finally {
    timer.abort()
  }
}

/** Runs `work` for steps 1, 2, … until it returns `false`, and adds the step to any error that it throws. */
export async function atEachStep(work: (step: number) => Promise<boolean>): Promise<void> {
  const maxSteps = 100
  for (let step = 1; step <= maxSteps; step++) {
    const reached = await work(step).catch((error: unknown) => {
      throw new Error(`at record ${step}: ${messageOf(error)}`, { cause: error })
    })
    if (reached) continue
    assert.ok(step > 1, 'make did not record anything')
    return
  }
  assert.fail(`make wrote more than ${maxSteps} records`)
}
