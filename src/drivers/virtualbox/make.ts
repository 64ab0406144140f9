import { writeFile } from 'node:fs/promises'
import type { Call, HostFacts, BootstrapData, HostSpec } from '../driver.ts'
import { reservePort } from '../net/reserve-port.ts'
import { cloneDisk } from './base-disk.ts'
import { hostOnlyAdapter, macAddressOf } from './host-only.ts'
import { readExtraData, completeMarker } from './machine.ts'
import type { VirtualBoxOptions } from './options.ts'
import { findOwnMachine, writeMetadata } from './own-machine.ts'
import type { Env } from './paths.ts'
import { sshForwarding } from './port-forwarding.ts'
import { startMachine } from './power.ts'
import { removeMachine } from './remove.ts'
import { parseShares } from '../local-hosts.ts'

type MachineSpec = Pick<HostSpec, 'name' | 'token' | 'tags'>

const isArm = process.arch === 'arm64'

/** Returns the machine's name in VirtualBox. Eight digits of the token distinguish machines with the same name. */
const nameInVirtualBox = ({ name, token }: Pick<HostSpec, 'name' | 'token'>): string =>
  `${name}-${token.slice(0, 8)}`

/** Returns `modifyvm` options for the hardware that cloud images expect. */
export const hardware = (options: VirtualBoxOptions, token: string, port: number): string[] => [
  ...['--cpus', String(options.cpus), '--memory', String(options.memory)],
  ...['--ioapic', 'on', '--rtcuseutc', 'on', '--acpi', 'on'],
  ...['--graphicscontroller', 'vmsvga', '--vram', '16'],
  ...(isArm ? [] : ['--boot1', 'disk', '--boot2', 'none', '--boot3', 'none', '--boot4', 'none']),
  ...['--nic1', 'nat', '--nictype1', 'virtio', '--macaddress1', macAddressOf(token, 1)],
  ...['--natpf1', sshForwarding(port)],
  ...['--defaultfrontend', options.gui ? 'gui' : 'headless'],
]

/** Returns the commands that create and configure a machine, in order. */
export function creationCommands(
  { name, token, tags }: MachineSpec,
  options: VirtualBoxOptions,
  at: {
    readonly folder: string
    readonly disk: string
    readonly seed: string
    readonly port: number
    readonly adapters: readonly string[]
  },
): readonly (readonly string[])[] {
  const controller = isArm
    ? ['--add', 'virtio', '--controller', 'VirtIO']
    : ['--add', 'sata', '--controller', 'IntelAhci']
  const attach = (port: number, type: string, medium: string): string[] => [
    ...['storageattach', token, '--storagectl', 'Disks', '--port', String(port), '--device', '0'],
    ...['--type', type, '--medium', medium],
  ]
  return [
    [
      ...['createvm', '--name', nameInVirtualBox({ name, token }), '--uuid', token],
      ...['--basefolder', at.folder, '--ostype', isArm ? 'Debian_arm64' : 'Debian_64'],
      ...(isArm ? ['--platform-architecture', 'arm'] : []),
      '--register',
    ],
    ...Object.entries(tags).map(([key, value]) => ['setextradata', token, key, value]),
    ['modifyvm', token, ...hardware(options, token, at.port), ...at.adapters],
    ['storagectl', token, '--name', 'Disks', ...controller, '--portcount', '2', '--bootable', 'on'],
    attach(0, 'hdd', at.disk),
    attach(1, 'dvddrive', at.seed),
    ...(parseShares(options.shares ?? '') ?? []).map((share) => [
      ...['sharedfolder', 'add', token, '--name', share.name, '--hostpath', share.path],
      '--automount',
    ]),
    ['setextradata', token, completeMarker, 'true'],
  ]
}

/** Creates a machine without starting it. Deletes the incomplete machine of an earlier attempt first. */
async function createStopped(
  { vbox, paths }: Env,
  { spec, options }: { readonly spec: MachineSpec; readonly options: VirtualBoxOptions },
  data: BootstrapData,
  call: Call,
): Promise<void> {
  const { token } = spec
  const { disk } = data
  if (disk === undefined) throw new TypeError('a boot disk is required to create a machine')
  const own = paths.machine(token)
  await removeMachine({ vbox, paths }, token, call, { keepsPort: true })
  call.signal.throwIfAborted()
  await writeMetadata(paths, token, spec.tags)
  const port = await reservePort(paths.ports, token)
  await data.record({ resources: { sshPort: String(port) } })
  await cloneDisk({ vbox, paths }, disk, { to: own.disk, size: options.disk }, call)
  await writeFile(own.seed, disk.noCloud, { mode: 0o600 })
  const adapters = options.hostOnly
    ? [...(await hostOnlyAdapter(vbox, call)), '--macaddress2', macAddressOf(token, 2)]
    : []
  call.progress('create the virtual machine')
  for (const words of creationCommands(spec, options, { ...own, port, adapters })) {
    await vbox.run(words, call)
  }
}

/** Whether the creation of a machine is complete, in which case it only needs to be started. */
export async function isComplete(env: Env, token: string, call: Call): Promise<boolean> {
  const machine = await findOwnMachine(env, token, call)
  return machine !== undefined && completeMarker in (await readExtraData(env.vbox, token, call))
}

/** Creates a machine, unless it already exists, and starts it. */
export async function createMachine(
  env: Env,
  planned: { readonly spec: MachineSpec; readonly options: VirtualBoxOptions },
  data: BootstrapData,
  call: Call,
): Promise<HostFacts> {
  const { vbox, paths } = env
  const { token } = planned.spec
  call.signal.throwIfAborted()
  if (!(await isComplete(env, token, call))) {
    await createStopped(env, planned, data, call)
  }
  await data.record({ id: token })
  await startMachine(vbox, token, call)
  const port = await reservePort(paths.ports, token)
  return { id: token, address: '127.0.0.1', port, user: planned.options.user }
}
