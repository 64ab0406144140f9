import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, open, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { BootDisk } from '../../src/drivers/driver.ts'
import { withLock } from '../../src/os/lock.ts'
import { writeNoCloudSeed } from '../../src/provision/cloud-init/no-cloud.ts'
import { type KeyPair, makeKeyPair } from '../../src/transport/ssh/login/key-pair.ts'
import { labIsHere } from './lab/lab.ts'
import { runProgram } from './lab/process.ts'
import { outside } from './lab/outside.ts'

/** The script that builds the guest and VirtualBox. */
export const guestRig = join(import.meta.dirname, '../../../shared/rigs/virtualbox/virtualbox.sh')

/** Whether the guest is available: the script that builds it is not part of the project. */
export const guestIsHere = labIsHere && existsSync(guestRig)
if (!guestIsHere) console.warn(`skipped what needs the small guest: no lab, or no ${guestRig}`)

/** Timeout for the first build, in milliseconds. */
export const guestBuildTime = 30 * 60_000

/**
 * Resolves to a cloud image of 64 MB, which boots in seconds. Its sshd supports one session per connection, and no
 * forwarding.
 */
export async function smallGuest(): Promise<string> {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const base = process.env['FLEET_RIG_BASE'] ?? join(cache, 'fleet-rigs', 'virtualbox')
  const image = join(base, 'images', 'rig-cloud-amd64.qcow2')
  if (existsSync(image)) return image
  await mkdir(base, { recursive: true })
  await withLock(
    join(base, 'guest'),
    async () => {
      if (existsSync(image)) return
      for (const word of ['up', 'guest']) {
        const [program, ...words] = outside(guestRig, word)
        await promisify(execFile)(program, words, { env: { ...process.env, TMPDIR: '/tmp' } })
      }
    },
    guestBuildTime,
  )
  return image
}

/** Options of `qemu-img convert` for each format, as distributions publish them. */
const conversions = {
  qcow2: ['-O', 'qcow2', '-c'],
  raw: ['-O', 'raw'],
  vdi: ['-O', 'vdi'],
  vmdk: ['-O', 'vmdk', '-o', 'subformat=streamOptimized'],
} as const

/** x86: `sti`, `hlt`, and a jump back to the `hlt`. */
const haltForever = Uint8Array.of(0xfb, 0xf4, 0xeb, 0xfd)

/**
 * Creates a copy of the small guest in `folder` whose boot sector halts the processor. Resolves to its path. The copy
 * is for tests that never log in, because a guest that boots in emulation uses a whole core of this computer.
 */
export async function haltingGuest(folder: string, format: BootDisk['format']): Promise<string> {
  const raw = join(dirname(await smallGuest()), 'rig-cloud-amd64.raw')
  const image = join(folder, `halting.${format}`)
  const patched = format === 'raw' ? image : `${image}.raw`
  await copyFile(raw, patched)
  const file = await open(patched, 'r+')
  await file.write(haltForever, 0, haltForever.length, 0)
  await file.close()
  if (format === 'raw') return image
  await runProgram(['qemu-img', 'convert', '-f', 'raw', ...conversions[format], patched, image])
  await rm(patched)
  return image
}

/** The seed of a guest, and the keys to log in with. */
export interface GuestSeed {
  readonly login: KeyPair
  readonly hostKey: KeyPair
  readonly publicKey: string
  readonly userData: Uint8Array
  readonly disk: BootDisk
}

/**
 * Returns a seed for a guest with the user `user`. The guest does not support multipart messages, so the seed is a
 * plain cloud-config.
 */
export function seedGuest(image: string, user: string): GuestSeed {
  const [login, hostKey] = [makeKeyPair('login'), makeKeyPair('host')]
  const config = {
    ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    users: [{ name: user, ssh_authorized_keys: [login.publicKey], sudo: 'ALL=(ALL) NOPASSWD:ALL' }],
  }
  const userData = Buffer.from(`#cloud-config\n${JSON.stringify(config)}\n`)
  const noCloud = writeNoCloudSeed({ instanceId: login.fingerprint, hostName: 'guest', userData })
  const disk: BootDisk = { path: image, format: 'qcow2', digest: 'sha256:small-guest', noCloud }
  return { login, hostKey, publicKey: login.publicKey, userData, disk }
}
