import { open } from 'node:fs/promises'
import { UserError } from '../errors.ts'
import { readSelfContained } from './self-contained.ts'

/** How a disk lies in a file. */
export type DiskFormat = 'qcow2' | 'raw' | 'vdi' | 'vmdk'

/** What a file is, and the size of the disk in it, in bytes. */
export type FoundDisk =
  | { readonly format: DiskFormat; readonly size: number }
  | { readonly format: 'ova' }

/** What a file begins with, from an offset on. Each format's own documentation names it. */
const marks: readonly (readonly [
  format: DiskFormat | 'ova' | 'packed' | 'foreign',
  at: number,
  mark: string,
])[] = [
  ['qcow2', 0, 'QFI\u{fb}'],
  ['vmdk', 0, 'KDMV'],
  ['vmdk', 0, '# Disk Descriptor'],
  ['vdi', 0x40, '\u{7f}\u{10}\u{da}\u{be}'],
  ['ova', 257, 'ustar'],
  ['packed', 0, '\u{1f}\u{8b}'],
  ['packed', 0, '\u{fd}7zXZ'],
  ['packed', 0, '(\u{b5}/\u{fd}'],
  ['packed', 0, 'BZh'],
  ['packed', 0, 'PK\u{3}\u{4}'],
  ['foreign', 0, 'conectix'], // VHD
  ['foreign', 0, 'vhdxfile'],
  ['foreign', 0, 'QED\0'],
  ['foreign', 0, 'COWD'], // VMware's for ESX
  ['foreign', 0, 'WithoutFreeSpace'], // Parallels
  ['foreign', 0, 'WithouFreSpacExt'],
  ['foreign', 0, 'LUKS'],
]

/**
 * Says what a file is: by what it holds, never by its name, and never as anything else than that may be read from then on. Throws
 * kind `usage` for one that has to be unpacked or converted first, and for a disk that is not all in this file: whoever made the
 * image would choose a file of this computer that the machine then reads.
 */
export async function inspectDisk(file: string): Promise<FoundDisk> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0)
  const head = buffer.subarray(0, bytesRead).toString('latin1')
  const found = new Set(
    marks.filter(([, at, mark]) => head.startsWith(mark, at)).map(([format]) => format),
  )
  const [format = 'raw'] = found
  if (found.size > 1) {
    throw new UserError('usage', `${file} matches several disk formats`, {
      hint: 'use the image only if you trust it; convert it first: qemu-img convert',
    })
  }
  if (format === 'ova') return { format }
  if (format === 'packed') {
    throw new UserError('usage', `${file} is compressed`, {
      hint: 'unpack it, and use the disk in it: raw, qcow2, vmdk, vdi or ova',
    })
  }
  if (format === 'foreign') {
    throw new UserError('usage', `${file} is in a format that fleet does not support`, {
      hint: 'convert it: qemu-img convert -O qcow2 IMAGE IMAGE.qcow2',
    })
  }
  if (format === 'raw') return { format, size: (await handle.stat()).size }
  return { format, size: await readSelfContained(handle, format, file) }
}
