import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAccounts, writeHomes } from './accounts.ts'
import { makeKey } from './ssh-key.ts'

/** What is on a host's disk when it is first started. */
export interface DiskPlan {
  readonly name: string
  readonly address: string
  /** The public key that lets in every account. */
  readonly publicKey: string
  /** Lines of sshd_config(5) that replace or join the lab's own. */
  readonly sshdOptions: Readonly<Record<string, string>>
  /** A folder whose programs in `usr/bin` and `usr/sbin` replace those of this machine. */
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

/** Makes a new host key in an /etc folder, in place of any that is there. Gives its public part. */
export async function makeHostKey(etc: string, name: string): Promise<string> {
  const file = join(etc, 'ssh/ssh_host_ed25519_key')
  await Promise.all([rm(file, { force: true }), rm(`${file}.pub`, { force: true })])
  const { publicKey } = await makeKey(file, name)
  return publicKey
}

/** Makes a host's disk: what it changes of /etc, and its own /srv, /var/log, /var/lib/docker and /var/lib/fleet. Gives its host key. */
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
