import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDisk } from '../lab/host-disk.ts'
import { type Switch, addSwitch, removeSwitch, unplug } from '../lab/network.ts'
import { answersSsh } from '../lab/probes.ts'
import { ended, hasEnded, runProgram, spawnTied, until } from '../lab/process.ts'
import { type Identity, makeKey } from '../lab/ssh-key.ts'
import { debianKernel } from './debian-kernel.ts'

/** A host in the virtual machine, with sshd and an engine. The login user is root. */
interface KernelHost {
  readonly name: string
  readonly address: string
  readonly hostKey: string
}

/** Hosts on one switch that run on Debian's kernel. */
export interface KernelHosts extends AsyncDisposable {
  readonly hosts: readonly KernelHost[]
  readonly identity: Identity
  /** Resolves to the output of the virtual machine's serial console so far. */
  log(): Promise<string>
}

const hostInit = join(import.meta.dirname, '../lab/host-init.sh')
const guestInit = join(import.meta.dirname, 'guest-init.sh')

/** QEMU's options. The processor is emulated, because KVM does not start other kernels on all computers. */
const machine = [
  ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
  ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
  ...['-fsdev', 'local,id=root,path=/,security_model=none,readonly=on,multidevs=remap'],
  ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root'],
]

/** Starts a virtual machine with hosts h1, h2 and so on, and waits until they answer. */
export async function startKernelHosts(count: number): Promise<KernelHosts> {
  const kernel = await debianKernel()
  const folder = await mkdtemp(join(tmpdir(), 'kernel-'))
  const network = await addSwitch()
  const cable = `${network.bridge}vm`
  const identity = await makeKey(join(folder, 'id'), 'lab')
  const hosts: KernelHost[] = []
  for (let number = 1; number <= count; number++) {
    const [name, address] = [`h${number}`, `${network.prefix}.${10 + number}`]
    const plan = { name, address, publicKey: identity.publicKey, sshdOptions: {} }
    hosts.push({ name, address, hostKey: await makeDisk(join(folder, name), plan) })
  }
  await plugIn(network, cable)
  const inside = hosts.map(({ name, address }) => `${name}=${address}`)
  const init = ['/bin/sh', guestInit, kernel.modules, folder, hostInit, ...inside]
  const serial = join(folder, 'serial.log')
  const words = `console=ttyS0 rdinit=/init quiet panic=-1 mitigations=off -- ${init.join(' ')}`
  const child = spawnTied(
    [
      ...['qemu-system-x86_64', ...machine, '-serial', `file:${serial}`],
      ...['-netdev', `tap,id=net,ifname=${cable},script=no,downscript=no`],
      ...['-device', 'virtio-net-pci,netdev=net,romfile='],
      ...['-kernel', kernel.image, '-initrd', kernel.initramfs, '-append', words],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const log = () => readFile(serial, 'utf8').catch(() => '')
  const dispose = async () => {
    child.kill('SIGKILL')
    await ended(child)
    await unplug(cable)
    await removeSwitch(network)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    for (const { name, address } of hosts)
      await until(`${name} to answer`, async () => {
        if (hasEnded(child)) throw new Error('the virtual machine has ended')
        return (await answersSsh(address, 22)) || undefined
      })
  } catch (error) {
    const tail = (await log()).slice(-3000)
    await dispose()
    throw new Error(`the virtual machine did not start:\n${tail}`, { cause: error })
  }
  return { hosts, identity, log, [Symbol.asyncDispose]: dispose }
}

/** Creates a tap device for a virtual machine, and attaches it to a switch. */
const plugIn = ({ bridge }: Switch, cable: string) =>
  runProgram(
    ['ip', '-batch', '-'],
    `tuntap add dev ${cable} mode tap\nlink set ${cable} master ${bridge} up\n`,
  )
