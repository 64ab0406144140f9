import { findSudo } from '../../os/find-sudo.ts'

/**
 * A script that enlarges the partition of `/` and its file system after the disk was enlarged. If it cannot enlarge
 * them, it prints the reason, and cloud-init enlarges them at the next boot. Does nothing if `/` is not on a partition
 * or already uses the whole disk.
 */
export const growDiskScript = `
root=$(findmnt -no SOURCE / 2>/dev/null) || exit 0
case $root in /dev/*) ;; *) exit 0 ;; esac
name=\${root#/dev/}
[ -r "/sys/class/block/$name/partition" ] || exit 0
number=$(cat "/sys/class/block/$name/partition")
disk=/dev/$(basename "$(dirname "$(readlink -f "/sys/class/block/$name")")")
${findSudo}
if ! command -v growpart >/dev/null 2>&1 && ! $sudo sh -c 'command -v growpart' >/dev/null 2>&1; then
  echo 'growpart is missing'
  exit 0
fi
grown=$($sudo growpart "$disk" "$number" 2>&1)
case $? in 0) ;; *) case $grown in *NOCHANGE*) ;; *) echo "$grown" >&2; exit 1 ;; esac ;; esac
case $(findmnt -no FSTYPE /) in
  ext2 | ext3 | ext4) $sudo resize2fs "$root" >/dev/null 2>&1 ;;
  xfs) $sudo xfs_growfs / >/dev/null ;;
  btrfs) $sudo btrfs filesystem resize max / >/dev/null ;;
esac
`
