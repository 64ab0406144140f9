import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The programs that a lab and its tests require, and their Debian packages. */
const packages = {
  dockerd: 'docker.io',
  docker: 'docker-cli',
  'docker-registry': 'docker-registry',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  'softhsm2-util': 'softhsm2', // a PKCS#11 token
  ip: 'iproute2',
  iptables: 'iptables',
  busybox: 'busybox-static',
  sudo: 'sudo',
  openssl: 'openssl',
  groff: 'groff-base', // manual pages
  man: 'man-db',
  'gpg-agent': 'gnupg', // signs a package repository
  git: 'git',
  'ansible-inventory': 'ansible-core', // verifies the exported inventory
  python3: 'python3', // types on terminals
  zsh: 'zsh', // completion is tested in the shells themselves
  fish: 'fish',
  tcsh: 'tcsh', // a login shell that is not POSIX
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  genisoimage: 'genisoimage', // builds the small guest, together with the next two
  gcc: 'gcc',
  gencat: 'libc6-dev',
  debootstrap: 'debootstrap',
  apparmor_parser: 'apparmor', // without it, no container starts on a kernel with AppArmor
}

const folders = () =>
  new Set([...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'])

function isExecutable(/** @type {string} */ file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const isHere = (/** @type {string} */ program) =>
  [...folders()].some((folder) => isExecutable(join(folder, program))) &&
  // the base image contains only busybox, which must be statically linked
  (program !== 'busybox' || spawnSync('ldd', ['/bin/busybox']).status !== 0)

/** Returns the missing programs, each with its package. */
const findMissing = () => Object.entries(packages).filter(([program]) => !isHere(program))

/**
 * Installs packages without starting services (policy-rc.d, see invoke-rc.d(8)) and without removing other packages.
 * Names that are unknown in this release of the distribution are skipped.
 */
const installScript = `
set -eu
export DEBIAN_FRONTEND=noninteractive
apt='apt-get -qq -o DPkg::Lock::Timeout=300'
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || $apt update
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
  trap 'rm -f "$guard"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' >"$guard"
  chmod 755 "$guard"
fi
known=
for package; do
  if apt-cache show "$package" >/dev/null 2>&1; then known="$known $package"; fi
done
install() { $apt install -y --no-install-recommends --no-remove $known; }
install || { $apt update && install; }
`

function installPackages(/** @type {readonly string[]} */ names) {
  console.error(`Installing for the lab: ${names.join(' ')}`)
  const { status, stdout, stderr } = spawnSync('sh', ['-c', installScript, 'sh', ...names], {
    encoding: 'utf8',
  })
  if (status !== 0) console.error(`apt-get failed with code ${status}:\n${stdout}${stderr}`)
}

/**
 * Prepares this computer for a lab as far as possible: installs missing packages if apt is available.
 * @returns {string | undefined} the reason why labs are impossible on this computer, or undefined
 */
export function prepareLab() {
  if (process.platform !== 'linux')
    return `hosts are made of Linux namespaces, and this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'making network namespaces needs root'
  const wanted = findMissing().map(([_program, name]) => name)
  if (wanted.length > 0 && isHere('apt-get')) installPackages(wanted)
  const missing = findMissing().map(([program]) => program)
  if (missing.length > 0) return `missing: ${missing.join(', ')}`
  const { status, stderr } = spawnSync('unshare', ['--mount', '--net', '--pid', '--fork', 'true'], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : `namespaces cannot be made: ${stderr.trim()}`
}
