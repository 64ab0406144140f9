import { access, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { UserError } from '../../errors.ts'
import { prepareSocketFolder } from '../../os/socket-folder.ts'
import { withLock } from '../../os/lock.ts'
import type { Call } from '../driver.ts'
import { isPortFree } from '../net/loopback-port.ts'
import { processorOf } from './accelerator.ts'
import type { HostFile, Paths } from './host-file.ts'
import { emulatorOf, runProgram } from './programs.ts'
import { isListening, execute } from './qmp.ts'
import { shareArguments } from './shares.ts'
import { ignored, traceError } from '../../os/trace.ts'
import { poll } from '../../os/retry.ts'

/** How long a host may take to shut down before it is powered off, in milliseconds. */
const shutdownTimeout = 120_000

/** Interval between power button events, in milliseconds. They are repeated because a booting host ignores them. */
const powerButtonInterval = 3000

/** Paths of the UEFI firmware that arm64 machines need, in the packages of various distributions. */
const armFirmware = [
  '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd',
  '/usr/share/AAVMF/AAVMF_CODE.fd',
  '/usr/share/edk2/aarch64/QEMU_EFI.fd',
  '/usr/share/qemu/edk2-aarch64-code.fd',
  '/opt/homebrew/share/qemu/edk2-aarch64-code.fd',
  '/usr/local/share/qemu/edk2-aarch64-code.fd',
]

async function firmwareArguments({ arch }: HostFile): Promise<string[]> {
  if (arch === 'amd64') return []
  for (const file of armFirmware) {
    const exists = await access(file).then(
      () => true,
      () => false,
    )
    if (exists) return ['-bios', file]
  }
  throw new UserError('unsupported', 'no UEFI firmware for arm64 is installed on this computer', {
    hint: 'install qemu-efi-aarch64 (Debian, Ubuntu) or edk2-aarch64 (Fedora)',
  })
}

/** Doubles commas in the value of an option (QEMU's manual, "Disk and CD images"). */
const escaped = (path: string): string => path.replaceAll(',', ',,')

/** Returns the QEMU arguments for a host. */
const machineArguments = (host: HostFile, paths: Paths): string[] => {
  const of = (name: string): string => escaped(paths.of(host.id, name))
  const [uuid] = [host.token.match(/^[0-9a-f-]{36}$/)?.[0]]
  return [
    ...['-name', `fleet-${host.name}`, ...(uuid === undefined ? [] : ['-uuid', uuid])],
    ...['-machine', host.arch === 'amd64' ? 'q35' : 'virt', '-accel', host.accelerator],
    ...['-cpu', processorOf(host.accelerator), '-smp', `${host.cpus}`, '-m', `${host.memory}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-drive', `file=${of('disk.qcow2')},if=virtio,format=qcow2,discard=unmap`],
    ...['-drive', `file=${of('seed.iso')},if=virtio,format=raw,readonly=on`],
    ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${host.port}-:22`],
    ...['-device', 'virtio-net-pci,netdev=net', '-device', 'virtio-rng-pci'],
    ...shareArguments(host.shares),
    ...['-serial', `file:${of('serial.log')}`],
    ...['-qmp', `unix:${escaped(paths.socketOf(host.id))},server=on,wait=off`],
    ...['-pidfile', paths.of(host.id, 'pid'), '-daemonize'],
  ]
}

/** Whether a host is running. */
export const isRunning = (host: HostFile, paths: Paths): Promise<boolean> =>
  isListening(paths.socketOf(host.id))

/** Starts a stopped host, from a snapshot if one is given. QEMU keeps running after this process ends. */
export function startMachine(
  host: HostFile,
  paths: Paths,
  call: Call,
  snapshot?: string,
): Promise<void> {
  return withLock(paths.folderOf(host.id), async () => {
    if (await isRunning(host, paths)) return
    call.signal.throwIfAborted()
    call.progress('start the virtual machine')
    if (!(await isPortFree(host.port))) {
      throw new UserError('failed', `another program is listening on 127.0.0.1:${host.port}`, {
        hint: 'stop that program: the virtual machine requires this port',
      })
    }
    await prepareSocketFolder(dirname(paths.socketOf(host.id)))
    await rm(paths.socketOf(host.id), { force: true })
    const words = [...machineArguments(host, paths), ...(await firmwareArguments(host))]
    const from = snapshot === undefined ? [] : ['-loadvm', snapshot]
    await runProgram(emulatorOf(host.arch), [...words, ...from], {
      env: paths.env,
      signal: call.signal,
    })
  })
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    traceError('qemu', 'check the QEMU process', error)
    return false
  }
}

/** Waits until the QEMU process of a host has exited. Resolves to `false` after `ms` milliseconds. */
async function waitForExit(
  host: HostFile,
  paths: Paths,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  const pid = Number(
    await readFile(paths.of(host.id, 'pid'), 'utf8').catch(
      ignored('qemu', 'read the process ID', ''),
    ),
  )
  const check = async (): Promise<true | undefined> => {
    const runs = await isRunning(host, paths)
    return runs || (pid > 0 && isAlive(pid)) ? undefined : true
  }
  const pacing = { signal, pauseMs: 200, withinMs: ms }
  return poll<boolean>(check, { ...pacing, otherwise: () => false })
}

/** Powers a host off. */
export async function killMachine(host: HostFile, paths: Paths, call: Call): Promise<void> {
  call.signal.throwIfAborted()
  if (!(await isRunning(host, paths))) return
  call.progress('power off the virtual machine')
  await execute(paths.socketOf(host.id), 'quit', call.signal)
  if (await waitForExit(host, paths, 30_000, call.signal)) return
  const pid = Number(
    await readFile(paths.of(host.id, 'pid'), 'utf8').catch(
      ignored('qemu', 'read the process ID', ''),
    ),
  )
  throw new UserError('failed', `the QEMU process for ${host.name} did not exit`, {
    hint: pid > 0 ? `end the process: kill -9 ${pid}` : 'end the process',
  })
}

/** Shuts a host down, or powers it off if that takes too long. */
export async function stopMachine(host: HostFile, paths: Paths, call: Call): Promise<void> {
  const deadline = Date.now() + shutdownTimeout
  while (await isRunning(host, paths)) {
    if (Date.now() > deadline) return killMachine(host, paths, call)
    call.progress('wait for shutdown')
    await execute(paths.socketOf(host.id), 'system_powerdown', call.signal).catch(
      (error: unknown) => {
        call.signal.throwIfAborted()
        if (error instanceof UserError) throw error // any other error means that the host has just stopped
      },
    )
    await waitForExit(host, paths, powerButtonInterval, call.signal)
  }
}
