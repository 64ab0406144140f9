import { readFileSync } from 'node:fs'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Accounts of a lab host: root; ana, who is in the group `docker`; and bob, who is not, but may use sudo. Their home
 * directories are in /srv, because a checkout of the project may be in /root or /home.
 */
export const accounts = {
  root: { uid: 0, home: '/srv/root' },
  ana: { uid: 1000, home: '/srv/ana' },
  bob: { uid: 1001, home: '/srv/bob' },
} as const

/** The name of an account on a lab host. */
export type Account = keyof typeof accounts

/** The password of ana and bob, for tests that enable password login and PAM. */
export const password = 'lab-password'
const passwordHash =
  '$6$fleetlab$Z2bcvsg0HSTpB6JBlX5n23k9/j6w2LnykSTcRRsfntV0xVR9xoFayzFKt/Dv4LAp47.ueN372daX.FOIkB0TH/'

const ours = (line: string) => /^(?:ana|bob|docker):|^[^:]*:[^:]*:100[01]:/.test(line)
const machineLines = (file: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !ours(line))

const passwd = () => [
  ...machineLines('/etc/passwd').filter((line) => !line.startsWith('root:')),
  ...Object.entries(accounts).map(
    ([name, { uid, home }]) => `${name}:x:${uid}:${uid}::${home}:/bin/bash`,
  ),
]

const shadow = () => [
  ...machineLines('/etc/shadow').filter((line) => !line.startsWith('root:')),
  'root:*:19000:0:99999:7:::',
  `ana:${passwordHash}:19000:0:99999:7:::`,
  `bob:${passwordHash}:19000:0:99999:7:::`,
]

const group = () => [
  ...machineLines('/etc/group'),
  'ana:x:1000:',
  'bob:x:1001:',
  'docker:x:2375:ana',
]

/** Writes the account files into a host's /etc directory. */
export async function writeAccounts(etc: string): Promise<void> {
  await mkdir(join(etc, 'sudoers.d'), { recursive: true })
  await Promise.all([
    writeFile(join(etc, 'passwd'), `${passwd().join('\n')}\n`),
    writeFile(join(etc, 'shadow'), `${shadow().join('\n')}\n`, { mode: 0o600 }),
    writeFile(join(etc, 'group'), `${group().join('\n')}\n`),
    writeFile(join(etc, 'sudoers.d/bob'), 'bob ALL=(ALL) NOPASSWD: ALL\n', { mode: 0o440 }),
  ])
}

/** Creates the home directories below the directory that a host sees as /srv, with `publicKey` authorized in each. */
export async function writeHomes(folder: string, publicKey: string): Promise<void> {
  for (const [name, { uid }] of Object.entries(accounts)) {
    const home = join(folder, name)
    const keys = join(home, '.ssh/authorized_keys')
    await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 })
    await writeFile(keys, `${publicKey}\n`, { mode: 0o600 })
    for (const path of [home, join(home, '.ssh'), keys]) await chown(path, uid, uid)
  }
}
