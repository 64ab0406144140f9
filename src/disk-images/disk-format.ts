import { open } from 'node:fs/promises'
import { UserError } from '../errors.ts'

/** How a disk lies in a file. */
export type DiskFormat = 'qcow2' | 'raw' | 'vdi' | 'vmdk'

/** What a file begins with, from an offset on. Each format's own documentation names it. */
const marks: readonly (readonly [
  format: DiskFormat | 'ova' | 'packed',
  at: number,
  mark: string,
])[] = [
  ['qcow2', 0, 'QFI\u{fb}'],
  ['vmdk', 0, 'KDMV'],
  ['vmdk', 0, '# Disk DescriptorFile'],
  ['vdi', 0x40, '\u{7f}\u{10}\u{da}\u{be}'],
  ['ova', 257, 'ustar'],
  ['packed', 0, '\u{1f}\u{8b}'],
  ['packed', 0, '\u{fd}7zXZ'],
  ['packed', 0, '(\u{b5}/\u{fd}'],
  ['packed', 0, 'PK\u{3}\u{4}'],
]

/** What a file is: by what it holds, never by its name. Throws kind `usage` for one that has to be unpacked first. */
export async function readFormat(file: string): Promise<DiskFormat | 'ova'> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0)
    const head = buffer.subarray(0, bytesRead).toString('latin1')
    const [format = 'raw'] = marks.find(([, at, mark]) => head.startsWith(mark, at)) ?? []
    if (format !== 'packed') return format
  } finally {
    await handle.close()
  }
  throw new UserError('usage', `${file} is compressed`, {
    hint: 'unpack it, and name the disk that is in it: raw, qcow2, vmdk, vdi or ova',
  })
}
