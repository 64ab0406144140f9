import { rm } from 'node:fs/promises'
import { childPath } from '../../os/child-path.ts'
import { UserError } from '../../errors.ts'
import type { HostRecord, HostStatus } from '../../machine/machine.ts'
import type { Call } from '../driver.ts'
import type { Difference, Update, UpdateRequest } from '../update.ts'
import { growDisk } from './base-disk.ts'
import { type VirtualMachine, sharesOf, stateOf } from './machine.ts'
import type { VirtualBoxOptions } from './options.ts'
import { requireOwnId } from './own-machine.ts'
import type { Env } from './paths.ts'
import { requireMachine, startMachine, stopMachine } from './power.ts'
import { formatShares, parseShares } from '../local-hosts.ts'
import { ignoreMissing } from './vboxmanage.ts'

/** Options that VirtualBox reports together with a machine's state. */
type ReportedOption = 'cpus' | 'memory' | 'gui' | 'hostOnly' | 'shares'

/** Returns the current values of options that VirtualBox reports. */
export const optionsOf = ({
  fields,
}: VirtualMachine): Readonly<Record<ReportedOption, string>> => ({
  cpus: fields.get('cpus') ?? '',
  memory: fields.get('memory') ?? '',
  gui: String(fields.get('defaultfrontend') === 'gui'),
  hostOnly: String(fields.get('nic2')?.startsWith('hostonly') ?? false),
  shares: formatShares(sharesOf(fields)),
})

/** Reasons why an option can be changed only by creating a new machine, keyed by option. */
const reasons: Readonly<Record<string, string>> = {
  hostOnly: 'network cards are configured when the machine is created',
  image: 'the disk was created from the current image',
  user: 'the user is created with the machine',
}

/** Compares a machine with its options, using its status and its record. */
export function compareMachine(
  { user, resources = {} }: HostRecord,
  options: VirtualBoxOptions,
  { options: reported = {} }: HostStatus,
): readonly Difference[] {
  const current: Readonly<Record<string, string | undefined>> = { ...resources, ...reported, user }
  const wanted: Readonly<Record<string, string>> = {
    ...{ cpus: `${options.cpus}`, memory: `${options.memory}`, disk: `${options.disk}` },
    ...{ gui: `${options.gui}`, shares: formatShares(parseShares(options.shares ?? '') ?? []) },
    ...{ hostOnly: `${options.hostOnly}`, image: options.image, user: options.user },
  }
  return Object.entries(wanted).flatMap(([option, to]): Difference[] => {
    const from = current[option]
    if (from === undefined || from === to) return []
    if (option === 'disk' && options.disk < Number(from)) {
      return [{ option, from, to, how: 'replace', why: 'a disk cannot shrink' }]
    }
    const why = reasons[option]
    const words = { option, from: from || 'none', to: to || 'none' }
    return [why === undefined ? { ...words, how: 'stop' } : { ...words, how: 'replace', why }]
  })
}

/**
 * Replaces a machine's disk with a larger one, which is a full copy because VirtualBox does not resize clones
 * correctly. The old disk is kept until the machine has the new one.
 */
async function enlargeDisk(
  { vbox, paths }: Env,
  { id, fields }: VirtualMachine,
  size: number,
  call: Call,
): Promise<void> {
  const old = fields.get('Disks-0-0') ?? ''
  const larger = childPath(paths.machine(id).folder, `disk-${size}.vdi`)
  if (old === larger) return
  if (fields.has('SnapshotName')) {
    throw new UserError('usage', 'the disk cannot grow while the machine has snapshots', {
      hint: 'remove the snapshots first: fleet snapshot ls, fleet snapshot rm',
    })
  }
  call.progress('grow the disk')
  await ignoreMissing(vbox.run(['closemedium', 'disk', larger, '--delete'], call))
  await rm(larger, { force: true })
  await vbox.run(['clonemedium', 'disk', old, larger, '--format', 'VDI'], call)
  await growDisk(vbox, larger, size, call)
  const place = ['--storagectl', 'Disks', '--port', '0', '--device', '0', '--type', 'hdd']
  await vbox.run(['storageattach', id, ...place, '--medium', larger], call)
  await ignoreMissing(vbox.run(['closemedium', 'disk', old, '--delete'], call))
}

/** Returns `modifyvm` options for the hardware that changes. */
const hardwareOf = (
  { cpus, memory, gui }: VirtualBoxOptions,
  only: ReadonlySet<string>,
): readonly string[] => [
  ...(only.has('cpus') ? ['--cpus', String(cpus)] : []),
  ...(only.has('memory') ? ['--memory', String(memory)] : []),
  ...(only.has('gui') ? ['--defaultfrontend', gui ? 'gui' : 'headless'] : []),
]

async function changeShares(
  { vbox }: Env,
  { id, fields }: VirtualMachine,
  wanted: string,
  call: Call,
): Promise<void> {
  for (const { name } of sharesOf(fields)) {
    await vbox.run(['sharedfolder', 'remove', id, '--name', name], call)
  }
  for (const { name, path } of parseShares(wanted) ?? []) {
    const share = ['--name', name, '--hostpath', path, '--automount']
    await vbox.run(['sharedfolder', 'add', id, ...share], call)
  }
}

/** Changes a machine. The machine is stopped first. */
async function changeMachine(
  env: Env,
  id: string,
  { options, only }: UpdateRequest<VirtualBoxOptions>,
  shutdownTimeout: number,
  call: Call,
): Promise<Readonly<Record<string, string>>> {
  const { vbox } = env
  // Hardware cannot change while the machine has a saved state, and discarding the state would lose data, so start
  // the machine.
  const { state } = await requireMachine(vbox, id, call)
  if (state.endsWith('saved')) await startMachine(vbox, id, call)
  await stopMachine(vbox, id, shutdownTimeout, call)
  const machine = await requireMachine(vbox, id, call)
  if (stateOf(machine.state) !== 'stopped') throw new TypeError(`the machine is ${machine.state}`)
  if (only.has('disk')) await enlargeDisk(env, machine, options.disk, call)
  const hardware = hardwareOf(options, only)
  if (hardware.length > 0) await vbox.run(['modifyvm', id, ...hardware], call)
  if (only.has('shares')) await changeShares(env, machine, options.shares ?? '', call)
  return only.has('disk') ? { disk: String(options.disk) } : {}
}

/** Returns the driver's update methods. See `Update`. */
export const createUpdate = (env: Env, shutdownTimeout: number): Update<VirtualBoxOptions> => ({
  compare: async (host, options, status) => compareMachine(host, options, status),
  change: async (host, request, call) =>
    changeMachine(env, await requireOwnId(env, host, call), request, shutdownTimeout, call),
  disks: ['disk'],
})
