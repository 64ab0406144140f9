import { access } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import type { HostRecord, HostStatus } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Call, Driver, HostPlan, HostSpec } from '../driver.ts'
import { currentComputer, otherComputer } from '../shared-folders.ts'
import { macAddressOf, withColons } from './host-only.ts'
import { listMachines } from './list.ts'
import { findVm, stateOf } from './machine.ts'
import { isWhole, makeMachine } from './make.ts'
import { isMachineId, ownIdOf } from './own-machine.ts'
import type { VirtualBoxOptions } from './options.ts'
import { type Env, placesIn } from './paths.ts'
import { killMachine, shutDownTime, startMachine, stopMachine } from './power.ts'
import { recallMachine } from './describe-existing.ts'
import { removeMachine } from './remove.ts'
import { optionsOf, reshapeIn } from './update.ts'
import { snapshotsOf } from './snapshots.ts'
import { type VBoxManage, explained, openVBoxManage } from './vboxmanage.ts'

/** In bytes. A CD-ROM can contain more, and cloud-init reads all of it. */
const longestUserData = 4 * 1024 * 1024

async function planHost(
  workshop: Env,
  wish: HostSpec,
  options: VirtualBoxOptions,
  call: Call,
): Promise<HostPlan> {
  const { vbox } = workshop
  const { major, minor } = await vbox.program()
  const exists = await isWhole(workshop, wish.token, call)
  const other = otherComputer(wish)
  if (other !== undefined && !exists) {
    throw new UserError(
      'usage',
      `the creation was started on the computer ${other} and can only be finished there`,
      {
        hint: 'run fleet create there to finish it, or fleet rm there to undo it',
      },
    )
  }
  const { cpus, memory, disk, image, hostOnly } = options
  const cards = hostOnly ? [1, 2] : []
  const made = exists ? {} : { image, disk: String(disk) }
  return {
    resources: { ...wish.resources, ...currentComputer(), ...made },
    user: options.user,
    userData: { maxBytes: longestUserData, gzip: false },
    disk: {
      image,
      arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
      macAddresses: cards.map((card) => withColons(macAddressOf(wish.token, card))),
    },
    notes: [
      exists
        ? `machine ${wish.token} exists`
        : `${cpus} processors, ${memory} MiB, a disk of ${disk} GiB from ${image}, in VirtualBox ${major}.${minor}`,
    ],
    exists,
    make: (seed, making) => explained(() => makeMachine(workshop, { wish, options }, seed, making)),
  }
}

async function observeOne(vbox: VBoxManage, host: HostRecord, call: Call): Promise<HostStatus> {
  const machine = isMachineId(host.id) ? await findVm(vbox, host.id, call) : undefined
  if (machine !== undefined) {
    return { state: stateOf(machine.state), options: optionsOf(machine) }
  }
  return { state: otherComputer(host) === undefined ? 'absent' : 'unknown' }
}

/** Runs an operation on the machine of a host. */
const onMachine =
  (workshop: Env, work: (vbox: VBoxManage, id: string, call: Call) => Promise<void>) =>
  (host: HostRecord, call: Call): Promise<void> =>
    explained(async () => work(workshop.vbox, await ownIdOf(workshop, host, call), call))

/**
 * The driver of VirtualBox on this computer, which keeps its files in `folder`. A machine that does
 * not shut down within `shutdownTimeout` milliseconds is powered off.
 */
export function virtualBoxDriver(
  folder: string,
  { shutDownWithin = shutDownTime } = {},
): Driver<VirtualBoxOptions> {
  const vbox = openVBoxManage(process.env)
  const workshop = { vbox, places: placesIn(folder) }
  const snapshots = snapshotsOf(workshop)
  const reshape = reshapeIn(workshop, shutDownWithin)
  return {
    describeExisting: (id, options, call) =>
      explained(() => recallMachine(vbox, id, options, call)),
    observe: (hosts, call) =>
      explained(async () => {
        const statuses = new Map<MachineName, HostStatus>()
        for (const [name, host] of hosts) statuses.set(name, await observeOne(vbox, host, call))
        return statuses
      }),
    lifecycle: {
      plan: (wish, options, call) => explained(() => planHost(workshop, wish, options, call)),
      remove: (host, call) => explained(() => removeHost(workshop, host, call)),
      list: (fleet, call) => explained(() => listMachines(workshop, fleet, call)),
    },
    power: {
      start: onMachine(workshop, startMachine),
      stop: onMachine(workshop, (_, id, call) => stopMachine(vbox, id, shutDownWithin, call)),
      kill: onMachine(workshop, killMachine),
      restart: onMachine(workshop, async (_, id, call) => {
        await stopMachine(vbox, id, shutDownWithin, call)
        await startMachine(vbox, id, call)
      }),
    },
    snapshots: {
      save: (host, name, call) => explained(() => snapshots.save(host, name, call)),
      restore: (host, name, call) => explained(() => snapshots.restore(host, name, call)),
      list: (host, call) => explained(() => snapshots.list(host, call)),
      remove: (host, name, call) => explained(() => snapshots.remove(host, name, call)),
    },
    update: {
      ...reshape,
      change: (host, wish, call) => explained(() => reshape.change(host, wish, call)),
    },
  }
}

async function removeHost(workshop: Env, host: HostRecord, call: Call): Promise<void> {
  const { token } = host
  if (token === undefined) return
  const other = otherComputer(host)
  const isHere = await access(workshop.places.machine(token).folder).then(
    () => true,
    () => false,
  )
  if (other !== undefined && !isHere) {
    throw new UserError(
      'failed',
      `the machine is on the computer ${other} and can only be removed there`,
      {
        hint: 'if that computer no longer exists: fleet forget NAME',
      },
    )
  }
  await removeMachine(workshop, token, call)
}
