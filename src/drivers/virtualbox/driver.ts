import { access } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import type { HostRecord, HostStatus } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Call, Driver, HostPlan, HostSpec } from '../driver.ts'
import { currentComputer, otherComputer } from '../local-hosts.ts'
import { macAddressOf, withColons } from './host-only.ts'
import { listMachines } from './list.ts'
import { findVm, stateOf } from './machine.ts'
import { isComplete, createMachine } from './make.ts'
import { isMachineId, requireOwnId } from './own-machine.ts'
import type { VirtualBoxOptions } from './options.ts'
import type { Environment } from '../../os/environment.ts'
import { type Env, pathsIn } from './paths.ts'
import { killMachine, defaultShutdownTimeout, startMachine, stopMachine } from './power.ts'
import { describeExistingMachine } from './describe-existing.ts'
import { removeMachine } from './remove.ts'
import { optionsOf, createUpdate } from './update.ts'
import { snapshotsOf } from './snapshots.ts'
import { type VBoxManage, withExplainedErrors, openVBoxManage } from './vboxmanage.ts'

/** Maximum size of the user-data in bytes. A CD-ROM can contain more, but cloud-init reads all of it. */
const maxUserData = 4 * 1024 * 1024

async function planHost(
  env: Env,
  spec: HostSpec,
  options: VirtualBoxOptions,
  call: Call,
): Promise<HostPlan> {
  const { vbox } = env
  const { major, minor } = await vbox.program()
  const exists = await isComplete(env, spec.token, call)
  const other = otherComputer(spec)
  if (other !== undefined && !exists) {
    throw new UserError(
      'usage',
      `fleet started creating the machine on the computer ${other} and can finish only there`,
      {
        hint: `to finish creating the machine, run fleet create on ${other}; to remove the machine, run fleet rm there`,
      },
    )
  }
  const { cpus, memory, disk, image, hostOnly } = options
  const adapters = hostOnly ? [1, 2] : []
  const chosen = exists ? {} : { image, disk: String(disk) }
  return {
    resources: { ...spec.resources, ...currentComputer(), ...chosen },
    user: options.user,
    userData: { maxBytes: maxUserData, gzip: false },
    disk: {
      image,
      arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
      macAddresses: adapters.map((adapter) => withColons(macAddressOf(spec.token, adapter))),
    },
    notes: [
      exists
        ? `machine ${spec.token} already exists`
        : `${image}, CPUs: ${cpus}, memory: ${memory} MiB, disk: ${disk} GiB, VirtualBox ${major}.${minor}`,
    ],
    exists,
    make: (data, making) =>
      withExplainedErrors(() => createMachine(env, { spec, options }, data, making)),
  }
}

async function observeOne(vbox: VBoxManage, host: HostRecord, call: Call): Promise<HostStatus> {
  const machine = isMachineId(host.id) ? await findVm(vbox, host.id, call) : undefined
  if (machine !== undefined) {
    return { state: stateOf(machine.state), options: optionsOf(machine) }
  }
  return { state: otherComputer(host) === undefined ? 'absent' : 'unknown' }
}

/** Runs an operation on a host's machine. */
const onMachine =
  (env: Env, work: (vbox: VBoxManage, id: string, call: Call) => Promise<void>) =>
  (host: HostRecord, call: Call): Promise<void> =>
    withExplainedErrors(async () => work(env.vbox, await requireOwnId(env, host, call), call))

/**
 * Creates the driver for VirtualBox on this computer. `variables` are the user's environment variables. The driver
 * keeps its files in `folder`. A machine that does not shut down within `shutDownWithin` milliseconds is powered off.
 */
export function virtualBoxDriver(
  folder: string,
  variables: Environment,
  { shutDownWithin: shutdownTimeout = defaultShutdownTimeout } = {},
): Driver<VirtualBoxOptions> {
  const vbox = openVBoxManage(variables)
  const env = { vbox, paths: pathsIn(folder) }
  const snapshots = snapshotsOf(env)
  const reshape = createUpdate(env, shutdownTimeout)
  return {
    describeExisting: (id, options, call) =>
      withExplainedErrors(() => describeExistingMachine(vbox, id, options, call)),
    observe: (hosts, call) =>
      withExplainedErrors(async () => {
        const statuses = new Map<MachineName, HostStatus>()
        for (const [name, host] of hosts) statuses.set(name, await observeOne(vbox, host, call))
        return statuses
      }),
    lifecycle: {
      plan: (spec, options, call) => withExplainedErrors(() => planHost(env, spec, options, call)),
      remove: (host, call) => withExplainedErrors(() => removeHost(env, host, call)),
      list: (fleet, call) => withExplainedErrors(() => listMachines(env, fleet, call)),
    },
    power: {
      start: onMachine(env, startMachine),
      stop: onMachine(env, (_, id, call) => stopMachine(vbox, id, shutdownTimeout, call)),
      kill: onMachine(env, killMachine),
      restart: onMachine(env, async (_, id, call) => {
        await stopMachine(vbox, id, shutdownTimeout, call)
        await startMachine(vbox, id, call)
      }),
    },
    snapshots: {
      save: (host, name, call) => withExplainedErrors(() => snapshots.save(host, name, call)),
      restore: (host, name, call) => withExplainedErrors(() => snapshots.restore(host, name, call)),
      list: (host, call) => withExplainedErrors(() => snapshots.list(host, call)),
      remove: (host, name, call) => withExplainedErrors(() => snapshots.remove(host, name, call)),
    },
    update: {
      ...reshape,
      change: (host, spec, call) => withExplainedErrors(() => reshape.change(host, spec, call)),
    },
  }
}

async function removeHost(env: Env, host: HostRecord, call: Call): Promise<void> {
  const { token } = host
  if (token === undefined) return
  const other = otherComputer(host)
  const isHere = await access(env.paths.machine(token).folder).then(
    () => true,
    () => false,
  )
  if (other !== undefined && !isHere) {
    throw new UserError(
      'failed',
      `the machine is on the computer ${other} and can be removed only there`,
      {
        hint: 'if that computer no longer exists, remove the entry: fleet forget NAME',
      },
    )
  }
  await removeMachine(env, token, call)
}
