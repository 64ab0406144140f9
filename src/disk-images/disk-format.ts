import { open } from 'node:fs/promises'
import { UserError } from '../errors.ts'
import { decryptHint, readSelfContained } from './self-contained.ts'

/** Format of a disk image. */
export type DiskFormat = 'qcow2' | 'raw' | 'vdi' | 'vmdk'

/** The format of a disk image, and its virtual size in bytes. */
export type FoundDisk =
  | { readonly format: DiskFormat; readonly size: number }
  | { readonly format: 'ova' }

/** File signatures and their offsets, from each format's documentation. */
const signatures: readonly (readonly [
  format: DiskFormat | 'ova' | 'packed' | 'foreign' | 'luks',
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
  ['foreign', 0, 'COWD'], // VMware ESX
  ['foreign', 0, 'WithoutFreeSpace'], // Parallels
  ['foreign', 0, 'WithouFreSpacExt'],
  ['luks', 0, 'LUKS'],
]

/**
 * Detects a file's format from its contents, never from its name. Tools must be told to read the file in exactly this
 * format. Throws kind `usage` for a file that must be decompressed or converted first, and for a disk that refers to
 * other files, with which the image's author could make the machine read any file on this computer.
 */
export async function inspectDisk(file: string): Promise<FoundDisk> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0)
  const head = buffer.subarray(0, bytesRead).toString('latin1')
  const found = new Set(
    signatures.filter(([, at, mark]) => head.startsWith(mark, at)).map(([format]) => format),
  )
  const [format = 'raw'] = found
  if (found.size > 1) {
    throw new UserError('usage', `${file} matches several disk formats`, {
      hint: 'if you trust the image, convert it first: qemu-img convert -f FORMAT -O qcow2 IMAGE IMAGE.qcow2',
    })
  }
  if (format === 'ova') return { format }
  if (format === 'packed') {
    throw new UserError('usage', `${file} is compressed`, {
      hint: 'decompress the file, then use the disk image (raw, qcow2, vmdk, vdi or ova)',
    })
  }
  if (format === 'luks') {
    throw new UserError('usage', `${file} is encrypted`, {
      hint: decryptHint('driver=luks,key-secret=key'),
    })
  }
  if (format === 'foreign') {
    throw new UserError('usage', `${file} is in a format that fleet does not support`, {
      hint: 'to convert it: qemu-img convert -O qcow2 IMAGE IMAGE.qcow2',
    })
  }
  if (format === 'raw') return { format, size: (await handle.stat()).size }
  return { format, size: await readSelfContained(handle, format, file) }
}
