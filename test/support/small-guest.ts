import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BootDisk } from '../../src/drivers/driver.ts'
import { withLock } from '../../src/os/lock.ts'
import { writeNoCloudSeed } from '../../src/provision/cloud-init/no-cloud.ts'
import { type KeyPair, makeKeyPair } from '../../src/transport/ssh/login/key-pair.ts'
import { labIsHere } from './lab/lab.ts'
import { outside } from './lab/outside.ts'

/** The script that builds the guest and VirtualBox. */
export const guestRig = join(import.meta.dirname, '../../../shared/rigs/virtualbox/virtualbox.sh')

/** Whether the guest is available: its script is not part of the project. */
export const guestIsHere = labIsHere && existsSync(guestRig)
if (!guestIsHere) console.warn(`skipped what needs the small guest: no lab, or no ${guestRig}`)

/** Timeout for the first build, in milliseconds. */
export const guestBuildTime = 30 * 60_000

/**
 * A cloud image of 64 MB, which boots in seconds. Its sshd supports one session per connection, and
 * no forwarding.
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

/** The seed of a guest, and the keys to log in with. */
export interface GuestSeed {
  readonly login: KeyPair
  readonly hostKey: KeyPair
  readonly publicKey: string
  readonly userData: Uint8Array
  readonly disk: BootDisk
}

/**
 * A seed for a guest with the user `user`. The guest does not support multipart messages, so this
 * is a plain cloud-config.
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
