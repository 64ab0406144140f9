import { expect, test } from 'vitest'
import { installHint } from '../../../../src/drivers/qemu/programs.ts'

test.each([
  ['linux', 'ID=ubuntu\nID_LIKE=debian\n', 'apt-get install qemu-utils qemu-system-x86'],
  ['linux', 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'dnf install qemu-kvm qemu-img'],
  ['linux', 'ID=fedora\n', 'dnf install qemu-img qemu-system-x86'],
  ['linux', 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', 'zypper install'],
  ['linux', 'ID=unheard-of\n', "your distribution's package manager"],
  ['darwin', '', 'brew install qemu'],
  ['win32', '', 'WSL'],
] as const)(
  'the hint to install QEMU suits the platform %s with os-release %j',
  (platform, osRelease, hint) => {
    expect(installHint(platform, osRelease, 'amd64')).toContain(hint)
  },
)
