import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAccounts, writeHomes } from './accounts.ts'
import { makeKey } from './ssh-key.ts'

/** Initial contents of a host's disk. */
export interface DiskPlan {
  readonly name: string
  readonly address: string
  /** The public key that is authorized for every account. */
  readonly publicKey: string
  /** Lines of sshd_config(5) that override or extend the lab's defaults. */
  readonly sshdOptions: Readonly<Record<string, string>>
  /** A directory whose programs in `usr/bin` and `usr/sbin` replace this computer's. */
  readonly programs?: string
}

const sshdDefaults = {
  HostKey: '/etc/ssh/ssh_host_ed25519_key',
  PidFile: '/run/sshd.pid',
  PermitRootLogin: 'prohibit-password',
  PasswordAuthentication: 'no',
  KbdInteractiveAuthentication: 'no',
  UsePAM: 'no',
  UseDNS: 'no',
  PrintMotd: 'no',
  PrintLastLog: 'no',
  Subsystem: 'sftp internal-sftp',
}

const lines = (entries: Readonly<Record<string, string>>) =>
  Object.entries(entries)
    .map(([key, value]) => `${key} ${value}\n`)
    .join('')

/** Creates a host key in an /etc directory, replacing an existing one. Resolves to the public key. */
export async function makeHostKey(etc: string, name: string): Promise<string> {
  const file = join(etc, 'ssh/ssh_host_ed25519_key')
  await Promise.all([rm(file, { force: true }), rm(`${file}.pub`, { force: true })])
  const { publicKey } = await makeKey(file, name)
  return publicKey
}

/** Creates a host's disk (/srv, /var/log, /var/lib/docker, /var/lib/fleet, changes to /etc) and its host key. */
export async function makeDisk(folder: string, plan: DiskPlan): Promise<string> {
  const etc = join(folder, 'etc')
  for (const part of ['etc/ssh', 'etc.work', 'home', 'log', 'docker', 'fleet'])
    await mkdir(join(folder, part), { recursive: true })
  await Promise.all([
    writeAccounts(etc),
    plan.programs !== undefined && symlink(plan.programs, join(folder, 'programs')),
    writeHomes(join(folder, 'home'), plan.publicKey),
    writeFile(join(etc, 'hostname'), `${plan.name}\n`),
    writeFile(join(etc, 'hosts'), `127.0.0.1 localhost\n${plan.address} ${plan.name}\n`),
    writeFile(join(etc, 'ssh/sshd_config'), lines({ ...sshdDefaults, ...plan.sshdOptions })),
  ])
  return makeHostKey(etc, plan.name)
}
