import { readFileSync } from 'node:fs'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { pathBelow } from '../files/path-below.ts'
import { bootstrapDebian } from './bootstrap.ts'
import { ensurePackages } from './tools.ts'

const packages =
  'systemd systemd-sysv dbus openssh-server cloud-init sudo apparmor iproute2 netbase procps curl libstdc++6'

/** Files of the root directory that replace or supplement those of the packages, keyed by path. */
const files: Readonly<Record<string, string>> = {
  'etc/hostname': 'localhost\n',
  'etc/fstab': '',
  'etc/machine-id': '',
  'etc/resolv.conf': 'nameserver 10.0.2.3\n', // slirp4netns(1)
  'etc/apt/apt.conf.d/90lab':
    'Acquire::Languages "none";\nAcquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n',
  'etc/cloud/cloud.cfg.d/90_lab.cfg': `datasource_list: [NoCloud, None]
network: {config: disabled}
apt_preserve_sources_list: true
disable_root: false
cloud_init_modules: [bootcmd, write-files, set_hostname, users-groups, ssh]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user, final-message]
`,
  // With cgroup version 1, systemd-nspawn mounts the controllers read-only, but an engine writes to them.
  'etc/systemd/system/lab-cgroup.service': `[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/lab-cgroup
`,
  'usr/local/sbin/lab-cgroup': `#!/bin/sh
for folder in /sys/fs/cgroup/*/; do
  case $folder in */systemd/ | */unified/) ;; *) mount -o remount,bind,rw,nosuid,nodev,noexec "$folder" ;; esac
done
exit 0
`,
}

/** Units that are masked, because a test host does not need them. */
const masked = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'cloud-init-hotplugd.socket',
  'console-getty.service',
  'dev-hugepages.mount',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'getty@tty1.service',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'systemd-pstore.service',
  'systemd-remount-fs.service',
]

/** Returns the codename of this computer's Debian release, and its apt sources file. */
export function findSources(): { suite: string; file: string } {
  const suite = /^VERSION_CODENAME=(.+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  if (suite === undefined) throw new Error('this machine is no release of Debian')
  const modern = '/etc/apt/sources.list.d/debian.sources'
  try {
    readFileSync(modern)
    return { suite, file: modern }
  } catch {
    return { suite, file: '/etc/apt/sources.list' }
  }
}

async function customize(root: string): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = pathBelow(root, path)
    await mkdir(dirname(file), { recursive: true })
    await rm(file, { force: true })
    await writeFile(file, text, { mode: path.includes('/sbin/') ? 0o755 : 0o644 })
  }
  const units = pathBelow(root, 'etc/systemd/system')
  await mkdir(join(units, 'sysinit.target.wants'), { recursive: true })
  await symlink('../lab-cgroup.service', join(units, 'sysinit.target.wants/lab-cgroup.service'))
  for (const unit of masked) {
    await rm(join(units, unit), { force: true })
    await symlink('/dev/null', join(units, unit))
  }
  for (const type of ['ecdsa', 'ed25519', 'rsa'])
    for (const suffix of ['', '.pub'])
      await rm(pathBelow(root, `etc/ssh/ssh_host_${type}_key${suffix}`), { force: true })
}

async function build(folder: string, suite: string, sources: string): Promise<void> {
  await ensurePackages('mmdebstrap')
  const root = join(folder, 'root')
  await bootstrapDebian({ root, packages: packages.split(' '), suite, sources })
  await customize(root)
}

/**
 * Resolves to the path of a Debian root directory with systemd, sshd and cloud-init, and without Docker. It is built in
 * a minute on first use, and again when its definition has changed.
 */
export async function findRootFolder(): Promise<string> {
  const { suite, file } = findSources()
  const recipe = [packages, files, masked, suite, await readFile(file, 'utf8')]
  const folder = await cachedFolder('booted-root', recipe, (folder) => build(folder, suite, file))
  return join(folder, 'root')
}
