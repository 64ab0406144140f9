import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import type { HostPlan, BootstrapData, Lifecycle, BootDisk } from '../../drivers/driver.ts'
import { imageGrants } from '../../drivers/grants.ts'
import { UserError, naming } from '../../errors.ts'
import {
  type HostRecord,
  type Machine,
  type MachineEntry,
  type ReadyMachine,
  mergeResources,
} from '../../machine/machine.ts'
import type { OwnUserData } from '../../provision/cloud-init/custom-user-data.ts'
import type { MachineName } from '../../machine/name.ts'
import { writeNoCloudSeed } from '../../provision/cloud-init/no-cloud.ts'
import { packUserData, writeUserData } from '../../provision/cloud-init/user-data.ts'
import type { CreationSecrets } from '../../state/home/creations.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { scopeOf } from '../../state/home/provider-scopes.ts'
import { makeKeyPair } from '../../transport/ssh/login/key-pair.ts'
import { type Context, rollbackProgress } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { updateRecord } from '../inventory/update-record.ts'
import { examineGrants, requireAllowed } from '../inventory/grants.ts'
import { checkNoJumpHost } from '../connect/find-tunnel.ts'
import { currentOrigin, hostTags } from './host-tags.ts'
import { settingsOf } from '../provision/prepare-settings.ts'
import { readUserData } from './read-user-data.ts'
import { type ProbedMachine, bootstrapHost } from '../adopt/bootstrap-host.ts'
import { traceError } from '../../os/trace.ts'

/** The input of {@link makeHost}. */
export interface HostCreation {
  readonly lifecycle: Lifecycle
  /** The validated options of the driver. */
  readonly options: Readonly<Record<string, unknown>>
  readonly inventory: Inventory
  /** Builds the entry from the latest inventory. Throws when another command has taken the name. */
  readonly draft: (newest: Inventory) => MachineEntry
  readonly progress: Progress
}

/** The secrets of a creation. The private login key is present only if the secrets are new. */
type NewSecrets = CreationSecrets & { readonly loginKey?: string }

/**
 * Creates a host and bootstraps it, or continues an interrupted attempt. Every created resource is recorded in the
 * inventory before the next request, and the same token always identifies the same host. Therefore, a creation that is
 * interrupted at any point can be continued by this function or undone by `removeMachine`. Nothing is written until all
 * checks have passed.
 */
export async function makeHost(
  context: Context,
  machine: Machine,
  creation: HostCreation,
): Promise<ProbedMachine> {
  const { token = randomUUID() } = machine.host ?? {}
  return context.creations().withLock(token, machine.name, async () => {
    const made = await createOrContinue(context, machine, token, creation)
    return bootstrapHost(context, made, creation.progress)
  })
}

async function createOrContinue(
  context: Context,
  machine: Machine,
  token: string,
  creation: HostCreation,
): Promise<ReadyMachine> {
  const { name } = machine
  const { lifecycle, options, inventory } = creation
  let current = ''
  const progress: Progress = (step, detail) => {
    current = step
    creation.progress(step, detail)
  }
  const { resources = {}, id } = machine.host ?? {}
  const call = { signal: context.signal, progress }
  progress('check the options')
  const known = await context.creations().find(token)
  // A retry creates the same host, so it uses the tags of the first attempt.
  const origin = currentOrigin(machine.protected === true)
  const tags = known?.tags ?? hostTags(inventory.id, name, token, origin)
  const plan = await naming(name, () =>
    lifecycle.plan({ name, token, tags, resources, id }, options, call),
  )
  checkNoJumpHost(machine, plan.resources)
  for (const note of plan.notes) progress(note)
  progress('prepare keys and user-data')
  const secrets = await findSecrets(context, machine, plan, { known, tags, inventory })
  const disk = await naming(name, () =>
    findDisk(context, machine, plan, { token, secrets, progress }),
  )
  await recordStart(context, machine, creation, { token, plan, secrets })
  try {
    const seed = { ...bootstrapDataOf(context, machine, token, secrets), disk }
    const facts = await naming(name, () => plan.make(seed, call))
    const host = await updateRecord(context, name, token, (host) => ({ ...host, ...facts }))
    return { ...machine, host }
  } catch (error) {
    if (machine.host === undefined && isRefusal(error)) {
      const undoing = rollbackProgress(current, creation.progress)
      await rollBack(context, name, token, { ...creation, progress: undoing })
    }
    throw error
  }
}

/** Whether a retry would fail in the same way (quota, policy, bad option), unlike a network error. */
const isRefusal = (error: unknown): boolean =>
  error instanceof UserError && error.kind !== 'unreachable' && error.kind !== 'cancelled'

/**
 * Rolls back a creation that the provider refused (quota, policy) before a host existed: removes the resources that
 * were created for it and restores the inventory. If the rollback fails too, the record is kept.
 */
async function rollBack(
  context: Context,
  name: MachineName,
  token: string,
  { lifecycle, inventory, progress }: HostCreation,
): Promise<void> {
  const host = await updateRecord(context, name, token, (host) => host)
  if (host.id !== undefined) return
  try {
    progress('remove the partly created host')
    await lifecycle.remove(host, { signal: context.signal, progress })
  } catch (error) {
    traceError('driver', 'remove the partly created host', error)
    return // the original error is more important; the entry still records the resources
  }
  await (await context.inventory()).update(name, () => inventory.entries.get(name))
  if (host.key !== undefined) await context.keys().forget(host.key)
  await context.creations().drop(token)
}

/**
 * The secrets of the earlier attempt, or else new ones; undefined if the host already exists and its secrets are on
 * another computer.
 */
async function findSecrets(
  context: Context,
  machine: Machine,
  { user, userData, exists, bootCommands = [] }: HostPlan,
  {
    known,
    tags,
    inventory,
  }: {
    known: CreationSecrets | undefined
    tags: Readonly<Record<string, string>>
    inventory: Inventory
  },
): Promise<NewSecrets | undefined> {
  const { name, engine } = machine
  if (known !== undefined || exists) return known
  const login = makeKeyPair(`fleet ${inventory.id} ${name}`)
  const hostKey = makeKeyPair(name)
  const text = writeUserData({
    hostName: name,
    user,
    authorizedKeys: [login.publicKey],
    hostKey,
    engine,
    settings: await settingsOf(context, machine),
    bootCommands,
    ...(await readOwnUserData(context, machine)),
  })
  return {
    publicKey: login.publicKey,
    fingerprint: login.fingerprint,
    hostKey: hostKey.publicKey,
    userData: packUserData(text, userData),
    tags,
    loginKey: login.privateKey,
  }
}

async function readOwnUserData(
  context: Context,
  { name, userData }: Machine,
): Promise<{ own?: OwnUserData }> {
  if (userData === undefined) return {}
  const { location } = await context.inventory()
  const content = await naming(name, () => readUserData(location, userData))
  return { own: { file: userData, content } }
}

/** The disk image of the plan, and the NoCloud seed with the host's user-data. */
async function findDisk(
  context: Context,
  { name }: Machine,
  { disk, exists }: HostPlan,
  {
    token,
    secrets,
    progress,
  }: { token: string; secrets: CreationSecrets | undefined; progress: Progress },
): Promise<BootDisk | undefined> {
  if (disk === undefined || exists || secrets === undefined) return undefined
  const { image, arch, macAddresses } = disk
  const grants = await examineGrants(context, name, imageGrants(image))
  requireAllowed(grants, `fleet create ${name}`)
  const folder = dirname((await context.inventory()).location)
  const call = { signal: context.signal, progress }
  const found = await (await context.diskImages()).resolve(image, { arch, folder }, call)
  const { userData } = secrets
  const noCloud = writeNoCloudSeed({ instanceId: token, hostName: name, userData, macAddresses })
  return { ...found, noCloud }
}

/** Before the first request to the provider, records the start of the creation and then the secrets for a retry. */
async function recordStart(
  context: Context,
  { name, driver, host: before }: Machine,
  { draft, options, inventory }: HostCreation,
  { token, plan, secrets }: { token: string; plan: HostPlan; secrets: NewSecrets | undefined },
): Promise<void> {
  const store = await context.inventory()
  const scope = scopeOf(driver, options, mergeResources({}, plan.resources))
  await context.providerScopes().remember(inventory.id, scope)
  const isFresh = secrets?.loginKey !== undefined
  await store.update(name, (newest, inventory) => {
    const host: HostRecord = {
      created: new Date().toISOString(),
      ...newest?.host,
      ...{ phase: 'creating', token, user: plan.user },
      ...(isFresh && { hostKeys: [secrets.hostKey], key: secrets.fingerprint }),
      resources: mergeResources(newest?.host?.resources, plan.resources),
    }
    if (newest?.host?.token === token) return { ...newest, host }
    return { ...draft(inventory), host }
  })
  if (secrets?.loginKey === undefined) return
  if (before?.key !== undefined) await context.keys().forget(before.key) // unused: the creation was never saved
  const { loginKey, ...kept } = secrets
  await context.keys().keep(secrets.fingerprint, loginKey)
  await context.creations().save(token, kept)
}

/**
 * The data for the first boot. It is empty, and not used, if the host already exists and its secrets are on another
 * computer.
 */
function bootstrapDataOf(
  context: Context,
  { name }: Machine,
  token: string,
  secrets: CreationSecrets | undefined,
): BootstrapData {
  const { publicKey = '', userData = new Uint8Array() } = secrets ?? {}
  return {
    publicKey,
    userData,
    async record({ id, resources }) {
      await updateRecord(context, name, token, (host) => ({
        ...host,
        ...(id !== undefined && { id }),
        resources: { ...host.resources, ...resources },
      }))
    },
  }
}
