import { stat } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { parseShares } from '../local-hosts.ts'
import type { Architecture } from './host-file.ts'
import { emulatorOf, runProgram } from './programs.ts'
import { ignored } from '../../os/trace.ts'

/**
 * Maximum length of a share's name: a virtio-9p tag has at most 32 bytes, including its terminator (QEMU's
 * hw/9pfs/9p.h).
 */
export const maxShareNameLength = 31

/**
 * Throws kind `unsupported` if QEMU was built without shared directories, and `usage` if a directory does not exist.
 */
export async function checkShares(
  text: string | undefined,
  arch: Architecture,
  running: Parameters<typeof runProgram>[2],
): Promise<void> {
  if (text === undefined) return
  const help = await runProgram(emulatorOf(arch), ['-device', 'virtio-9p-pci,help'], running)
  if (!help.includes('options')) {
    throw new UserError(
      'unsupported',
      'QEMU on this computer was built without support for shared directories',
      {
        hint: 'omit --shares, or install a QEMU build with virtio-9p support',
      },
    )
  }
  for (const { path } of parseShares(text) ?? []) {
    const found = await stat(path).catch(ignored('qemu', 'check the shared directory'))
    if (found?.isDirectory()) continue
    throw new UserError('usage', `the shared directory ${path} does not exist`, {
      hint: 'create the directory, or remove it from --shares',
    })
  }
}

/**
 * Returns QEMU arguments for shared directories. The guest has the permissions of the user who runs QEMU, and does not
 * keep separate file owners (QEMU's manual, "-virtfs").
 */
export const shareArguments = (text: string | undefined): string[] =>
  (parseShares(text ?? '') ?? []).flatMap(({ name, path }, index) => [
    '-virtfs',
    `local,id=share${index},path=${path},mount_tag=${name},security_model=none`,
  ])

/** Parent directory of the mount points in the machine. */
const parent = '/mnt'

/** Mount options. Programs that map files into memory need `cache=mmap`. */
const mountOptions = 'trans=virtio,version=9p2000.L,msize=262144,cache=mmap'

/**
 * A shell command that mounts all shared directories. It runs at every boot, because the directories can change between
 * two starts.
 */
export const mountShares = [
  'modprobe -q 9pnet_virtio',
  'for file in /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag',
  `do [ -r "$file" ] || continue; tag=$(tr -d '\\000' <"$file"); mkdir -p "${parent}/$tag"`,
  `mountpoint -q "${parent}/$tag" || mount -t 9p -o ${mountOptions} "$tag" "${parent}/$tag"`,
  'done',
].join('; ')
