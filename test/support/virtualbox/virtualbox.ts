import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { BootDisk } from '../../../src/drivers/driver.ts'
import { openVBoxManage } from '../../../src/drivers/virtualbox/vboxmanage.ts'
import { withLock } from '../../../src/os/lock.ts'
import { runProgram, signalProcess } from '../lab/process.ts'
import { guestRig, haltingGuest, smallGuest } from '../small-guest.ts'

/** A separate, initially empty VirtualBox of one user. */
export interface VirtualBox extends AsyncDisposable {
  /** Environment variables that make programs find this VirtualBox. */
  readonly env: Readonly<Record<string, string>>
  /** A directory that VirtualBox can access, in the lab's temporary directory; it cannot access other directories. */
  readonly folder: string
  /** Resolves to an image of the small guest in the given format, with a boot sector that halts the processor. */
  image(format: BootDisk['format']): Promise<string>
  /** Resolves to an image of the small guest in the given format, which boots. */
  bootableImage(format: BootDisk['format']): Promise<string>
  /** Runs VBoxManage, retrying while VirtualBox is busy, and returns the output. */
  manage(...words: string[]): Promise<string>
  /** Kills the process of a running machine. */
  crash(id: string): void
}

/**
 * A script that mounts the lab's temporary directory in VirtualBox's separate root directory. The
 * mount is removed with the lab.
 */
const mountScript = `
set -e
"$1" mounts
mountpoint -q "$2/tmp" && exit
mount -t tmpfs tmpfs "$2/tmp"
mkdir -p "$2$3"
mount --bind "$3" "$2$3"
`

/** Returns the processes of a user's VirtualBox: VBoxSVC, and one for each running machine. */
function processesOf(socketId: string): number[] {
  const mark = `VBOX_IPC_SOCKETID=${socketId}\0`
  return readdirSync('/proc').flatMap((entry) => {
    try {
      return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/environ`, 'latin1').includes(mark)
        ? [Number(entry)]
        : []
    } catch {
      return [] // it has exited in the meantime
    }
  })
}

/** Prepares a separate VirtualBox without the kernel driver. It interprets the guest's code. */
export async function startVirtualBox(): Promise<VirtualBox> {
  const source = dirname(await smallGuest())
  const rig = dirname(source)
  const root = join(rig, 'root')
  await withLock(join(tmpdir(), 'virtualbox-mounts'), async () => {
    await runProgram(['sh', '-c', mountScript, 'sh', guestRig, root, tmpdir()])
  })
  const folder = await mkdtemp(join(tmpdir(), 'virtualbox-'))
  const socketId = basename(folder)
  const env = {
    PATH: `${join(rig, 'bin')}:${process.env['PATH']}`,
    VBOX_USER_HOME: join(folder, 'user'),
    VBOX_IPC_SOCKETID: socketId,
  }
  await mkdir(env.VBOX_USER_HOME)
  const client = openVBoxManage({ ...process.env, ...env })
  const manage = (...words: string[]): Promise<string> => client.run(words, new AbortController())
  await manage('setextradata', 'global', 'VBoxInternal/HM/FallbackToIEM', '1')
  const images = new Map<BootDisk['format'], Promise<string>>()
  return {
    env,
    folder,
    manage,
    crash(id) {
      for (const pid of processesOf(socketId)) {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        if (command.includes(`--startvm\0${id}`)) signalProcess(pid, 'SIGKILL')
      }
    },
    image(format) {
      const known = images.get(format) ?? haltingGuest(folder, format)
      images.set(format, known)
      return known
    },
    async bootableImage(format) {
      const copy = join(folder, `guest.${format}`)
      if (!existsSync(copy)) await copyFile(join(source, `rig-cloud-amd64.${format}`), copy)
      return copy
    },
    async [Symbol.asyncDispose]() {
      for (const pid of processesOf(socketId)) signalProcess(pid, 'SIGKILL')
      await rm(folder, { recursive: true, force: true, maxRetries: 5 }) // the processes may still be exiting
    },
  }
}
