import { stat } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { parseShares } from '../shared-folders.ts'
import type { Architecture } from './host-file.ts'
import { emulatorOf, runProgram } from './programs.ts'
import { ignored } from '../../os/trace.ts'

/** The longest name that a folder can have: a tag of virtio-9p has 32 bytes with its end (QEMU's hw/9pfs/9p.h). */
export const longestShareName = 31

/** Throws kind `unsupported` where QEMU was built without shared folders, `usage` where one of them is not there. */
export async function checkShares(
  text: string | undefined,
  arch: Architecture,
  signal: AbortSignal,
): Promise<void> {
  if (text === undefined) return
  const told = await runProgram(emulatorOf(arch), ['-device', 'virtio-9p-pci,help'], signal)
  if (!told.includes('options')) {
    throw new UserError(
      'unsupported',
      'QEMU on this computer was built without support for shared folders',
      {
        hint: 'omit --shares, or install a QEMU with virtio-9p',
      },
    )
  }
  for (const { path } of parseShares(text) ?? []) {
    const found = await stat(path).catch(ignored('qemu', 'look at the shared folder'))
    if (found?.isDirectory()) continue
    throw new UserError('usage', `there is no folder ${path} to share`, {
      hint: 'create it, or remove it from --shares',
    })
  }
}

/** QEMU's words for folders: with the rights of who runs it, and no owners of the machine's own (its manual, "-virtfs"). */
export const shareWords = (text: string | undefined): string[] =>
  (parseShares(text ?? '') ?? []).flatMap(({ name, path }, index) => [
    '-virtfs',
    `local,id=share${index},path=${path},mount_tag=${name},security_model=none`,
  ])

/** Where folders are in the machine. */
const parent = '/mnt'

/** How they are mounted: with what programs need that map files into memory. */
const mountOptions = 'trans=virtio,version=9p2000.L,msize=262144,cache=mmap'

/**
 * A shell command that mounts what folders the machine has been given, at every boot: which ones there are can change from
 * one start to the next.
 */
export const mountShares = [
  'modprobe -q 9pnet_virtio',
  'for file in /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag',
  `do [ -r "$file" ] || continue; tag=$(tr -d '\\000' <"$file"); mkdir -p "${parent}/$tag"`,
  `mountpoint -q "${parent}/$tag" || mount -t 9p -o ${mountOptions} "$tag" "${parent}/$tag"`,
  'done',
].join('; ')
