import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathBelow } from '../files/path-below.ts'

/** The contents of the image. */
export const recipe = {
  packages: [
    ...['systemd', 'systemd-sysv', 'udev', 'dbus', 'kmod', 'netbase', 'procps'],
    ...['openssh-server', 'cloud-init', 'cloud-guest-utils', 'sudo', 'iproute2', 'curl'],
    ...['docker.io', 'iptables', 'ca-certificates'],
    ...['linux-image-amd64', 'initramfs-tools', 'lz4'],
  ],
  files: {
    'etc/hostname': 'localhost\n',
    'etc/fstab': 'LABEL=root / ext4 rw,noatime,errors=remount-ro 0 1\n',
    'etc/machine-id': '',
    'etc/resolv.conf': 'nameserver 10.0.2.3\n', // the name server of QEMU's user network
    'etc/modprobe.d/lab.conf': 'install cfg80211 /bin/false\n', // otherwise, networkd would load it
    // Only the modules that fleet's user-data needs: each takes seconds on an emulated processor.
    'etc/cloud/cloud.cfg.d/90_lab.cfg': `datasource_list: [NoCloud, None]
system_info: { network: { renderers: [networkd] } }
cloud_init_modules: [bootcmd, write-files, growpart, resizefs, set_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: [mounts, runcmd]
cloud_final_modules: [scripts-user, final-message]
`,
  } as Readonly<Record<string, string>>,
  kernelWords:
    'root=LABEL=root ro console=ttyS0 quiet net.ifnames=0 mitigations=off fsck.mode=skip apparmor=0',
  units: ['systemd-networkd.service'],
  /** Units that are masked to boot faster. */
  masked: [
    ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'e2scrub_all.timer', 'fstrim.timer'],
    ...['e2scrub_reap.service', 'systemd-pstore.service', 'cloud-init-hotplugd.socket'],
    ...['systemd-networkd-wait-online.service', 'getty@tty1.service', 'serial-getty@ttyS0.service'],
    ...['modprobe@drm.service', 'modprobe@efi_pstore.service', 'systemd-binfmt.service'],
    ...['proc-sys-fs-binfmt_misc.automount', 'sys-kernel-debug.mount', 'sys-kernel-tracing.mount'],
    'dev-hugepages.mount',
  ],
}

/**
 * A hook that mmdebstrap runs on this computer before the kernel is unpacked. It limits the initramfs
 * to a few drivers, so that it is unpacked faster.
 */
export const initramfsHook = `set -eu
case "\${1:?}" in /*/root) ;; *) echo "not a root folder: $1" >&2; exit 1 ;; esac
mkdir -p "\${1:?}/etc/initramfs-tools/conf.d"
printf 'MODULES=list\\nCOMPRESS=lz4\\nRESUME=none\\n' >"\${1:?}/etc/initramfs-tools/conf.d/lab"
printf 'virtio_pci\\nvirtio_blk\\nvirtio_net\\nvirtio_rng\\next4\\n' >>"\${1:?}/etc/initramfs-tools/modules"`

const grubConfig = (kernel: string): string => `set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
menuentry Debian {
  search --set=root --label root
  linux /boot/vmlinuz-${kernel} ${recipe.kernelWords}
  initrd /boot/initrd.img-${kernel}
}
`

/** Turns a root directory with installed packages into the root directory of a bootable image, without host keys. */
export async function customizeRoot(root: string, kernel: string): Promise<void> {
  if (kernel === '') throw new Error(`there is no kernel in ${root}`)
  for (const [path, text] of Object.entries({
    ...recipe.files,
    'boot/grub/grub.cfg': grubConfig(kernel),
  })) {
    const file = pathBelow(root, path)
    await mkdir(dirname(file), { recursive: true })
    await rm(file, { force: true })
    await writeFile(file, text)
  }
  const units = pathBelow(root, 'etc/systemd/system')
  const wanted = join(units, 'multi-user.target.wants')
  await mkdir(wanted, { recursive: true })
  for (const unit of recipe.units) {
    await rm(join(wanted, unit), { force: true })
    await symlink(`/lib/systemd/system/${unit}`, join(wanted, unit))
  }
  for (const unit of recipe.masked) {
    await rm(join(units, unit), { force: true })
    await symlink('/dev/null', join(units, unit))
  }
  for (const type of ['ecdsa', 'ed25519', 'rsa'])
    for (const suffix of ['', '.pub'])
      await rm(pathBelow(root, `etc/ssh/ssh_host_${type}_key${suffix}`), { force: true })
  await rm(pathBelow(root, 'var/lib/dbus/machine-id'), { force: true })
  for (const path of ['var/lib/apt/lists', 'var/cache/apt'])
    await rm(pathBelow(root, path), { recursive: true, force: true })
}
