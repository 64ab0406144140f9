import type { FileHandle } from 'node:fs/promises'
import { UserError } from '../errors.ts'

/** Maximum virtual size of a disk in bytes. Larger sizes are invalid. */
const maxDiskSize = 64 * 2 ** 40

/** Sector size of a VMDK, in bytes. */
const sector = 512

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  await handle.read(bytes, 0, length, position)
  return bytes
}

const damaged = (file: string): UserError =>
  new UserError('usage', `${file} is damaged: its header is invalid`, {
    hint: 'download or create the image again',
  })

/** Returns a hint that explains how to decrypt an image. `options` are the options for its format (qemu-img(1)). */
export const decryptHint = (options: string): string =>
  `to decrypt it, using the passphrase in the file KEY: qemu-img convert --object secret,id=key,file=KEY --image-opts ${options},file.filename=IMAGE -O qcow2 IMAGE.qcow2`

const otherFilesError = (file: string, what: string): UserError =>
  new UserError(
    'usage',
    `${file} cannot be used: ${what}; such an image can expose any file on this computer`,
    {
      hint: 'if you trust the image, convert it into a single file: qemu-img convert -O qcow2 IMAGE IMAGE.qcow2',
    },
  )

const asNumber = (value: bigint, file: string): number => {
  if (value <= 0n || value > BigInt(maxDiskSize)) throw damaged(file)
  return Number(value)
}

/**
 * Type of the header extension that contains the name of an external data file (QEMU's docs/interop/qcow2, "Header
 * extensions").
 */
const dataFileName = 0x44415441

/** Reads the virtual size of a qcow2 image. Its header, including extensions and names, is in the first cluster. */
async function readQcow2(handle: FileHandle, file: string): Promise<number> {
  const header = await readAt(handle, 0, 2 ** 16)
  const version = header.readUInt32BE(4)
  const clusterBits = header.readUInt32BE(20)
  const tableLength = 8 * header.readUInt32BE(36)
  const isSound =
    (version === 2 || version === 3) &&
    clusterBits >= 9 &&
    clusterBits <= 21 &&
    tableLength <= 2 ** 25 &&
    header.readBigUInt64BE(40) <= BigInt((await handle.stat()).size)
  if (!isSound) throw damaged(file)
  if (header.readBigUInt64BE(8) !== 0n) throw otherFilesError(file, 'the image has a backing file')
  if (version === 3 && (header.readBigUInt64BE(72) & 4n) !== 0n) {
    throw otherFilesError(file, 'the image has an external data file')
  }
  if (header.readUInt32BE(32) !== 0) {
    throw new UserError('usage', `${file} is encrypted`, {
      hint: decryptHint('driver=qcow2,encrypt.key-secret=key'),
    })
  }
  let at = version === 3 ? header.readUInt32BE(100) : 72
  while (at >= 72 && at + 8 <= header.length && header.readUInt32BE(at) !== 0) {
    if (header.readUInt32BE(at) === dataFileName) {
      throw otherFilesError(file, 'the image has an external data file')
    }
    at += 8 + 8 * Math.ceil(header.readUInt32BE(at + 4) / 8)
  }
  return asNumber(header.readBigUInt64BE(24), file)
}

/** VMDK types that consist of a single file (VMware's "Virtual Disk Format 5.0"). */
const singleFileTypes = new Set(['monolithicSparse', 'streamOptimized'])

/** Pattern for an extent that is stored in the file itself. Readers ignore the file name of such an extent. */
const ownExtent = /^(?:RW|RDONLY) +\d+ +SPARSE +"[^"]*"$/

async function readVmdk(handle: FileHandle, file: string): Promise<number> {
  const header = await readAt(handle, 0, sector)
  if (header.toString('latin1', 0, 4) !== 'KDMV') {
    throw otherFilesError(file, 'the image stores its data in other files')
  }
  const sectors = header.readBigUInt64LE(12)
  const [start, length] = [header.readBigUInt64LE(28), header.readBigUInt64LE(36)]
  if (sectors === 0n || start === 0n || start > 2n ** 20n || length === 0n || length > 128n) {
    throw damaged(file)
  }
  const bytes = await readAt(handle, Number(start) * sector, Number(length) * sector)
  const [descriptor = ''] = bytes.toString('latin1').split('\0')
  const lines = descriptor.split(/\r?\n/).map((line) => line.trim())
  const valuesOf = (key: string): string[] =>
    lines.flatMap((line) => {
      const [, name = '', value = ''] = /^(\w+)\s*=\s*"?([^"]*)/.exec(line) ?? []
      return name.toLowerCase() === key ? [value.trim()] : []
    })
  const kinds = valuesOf('createtype')
  const extents = lines.filter((line) => /^(?:RW|RDONLY|NOACCESS)\b/i.test(line))
  const isSelfContained =
    kinds.length === 1 &&
    singleFileTypes.has(kinds[0] ?? '') &&
    valuesOf('parentcid').every((parent) => parent.toLowerCase() === 'ffffffff') &&
    valuesOf('parentfilenamehint').length === 0 &&
    extents.length === 1 &&
    ownExtent.test(extents[0] ?? '')
  if (!isSelfContained) throw otherFilesError(file, 'the image refers to other files')
  return asNumber(sectors * BigInt(sector), file)
}

/** VDI types without a parent: dynamic and fixed (VirtualBox's VDICore.h). */
const standaloneTypes = new Set([1, 2])

async function readVdi(handle: FileHandle, file: string): Promise<number> {
  const header = await readAt(handle, 0, sector)
  if (header.readUInt16LE(0x46) !== 1) throw damaged(file)
  const parent = header.subarray(0x1a8, 0x1b8)
  if (!standaloneTypes.has(header.readUInt32LE(0x4c)) || parent.some((byte) => byte !== 0)) {
    throw otherFilesError(file, 'the image is a differencing disk based on another file')
  }
  return asNumber(header.readBigUInt64LE(0x170), file)
}

const readers = { qcow2: readQcow2, vmdk: readVmdk, vdi: readVdi } as const

/**
 * Returns the virtual size of a disk in bytes. Throws kind `usage` if part of the disk is in another file, such as a
 * backing file, an external data file, an extent or a parent, or if the header is invalid.
 */
export const readSelfContained = (
  handle: FileHandle,
  format: keyof typeof readers,
  file: string,
): Promise<number> => readers[format](handle, file)
