import { type FileHandle, open } from 'node:fs/promises'
import { inflateRawSync } from 'node:zlib'
import { UserError } from '../../errors.ts'

/** Header of a qcow2 image (QEMU, docs/interop/qcow2.txt). */
interface Header {
  readonly clusterBits: number
  readonly size: number
  readonly tables: readonly bigint[]
}

const offsetMask = 0x00ff_ffff_ffff_fe00n

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  await file.read(bytes, 0, length, position) // compressed data may extend to the end of the file
  return bytes
}

const readTable = (bytes: Buffer): bigint[] =>
  Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigUInt64BE(8 * index))

async function readHeader(file: FileHandle, path: string): Promise<Header> {
  const header = await readAt(file, 0, 112)
  const version = header.readUInt32BE(4)
  const features = version < 3 ? 0n : header.readBigUInt64BE(72)
  const isPlain =
    header.toString('latin1', 0, 4) === 'QFI\u{fb}' &&
    (version === 2 || version === 3) &&
    header.readBigUInt64BE(8) === 0n && // no backing file
    header.readUInt32BE(32) === 0 && // not encrypted
    (features & ~3n) === 0n // no other compression, no subclusters, no external data file
  if (!isPlain) {
    throw new UserError(
      'usage',
      `the image ${path} uses qcow2 features that fleet cannot convert`,
      {
        hint: 'convert the image: qemu-img convert -O vdi IMAGE IMAGE.vdi',
      },
    )
  }
  const tables = await readAt(file, Number(header.readBigUInt64BE(40)), 8 * header.readUInt32BE(36))
  return {
    clusterBits: header.readUInt32BE(20),
    size: Number(header.readBigUInt64BE(24)),
    tables: readTable(tables),
  }
}

/** Returns the contents of a cluster; `undefined` if it contains only zeros. */
async function readCluster(
  file: FileHandle,
  entry: bigint,
  clusterBits: number,
): Promise<Buffer | undefined> {
  const length = 2 ** clusterBits
  const isCompressed = (entry & (1n << 62n)) !== 0n
  if (!isCompressed) {
    const offset = entry & offsetMask
    if (offset === 0n || (entry & 1n) !== 0n) return undefined
    return readAt(file, Number(offset), length)
  }
  const offsetBits = BigInt(62 - (clusterBits - 8))
  const offset = Number(entry & ((1n << offsetBits) - 1n))
  const sectors = Number((entry & ((1n << 62n) - 1n)) >> offsetBits) + 1
  const packed = await readAt(file, offset, 512 * sectors - (offset % 512))
  try {
    return inflateRawSync(packed, { maxOutputLength: length })
  } catch (error) {
    throw new UserError('usage', 'the image is damaged: part of it cannot be decompressed', {
      hint: 'download or create the image again',
      cause: error,
    })
  }
}

/**
 * Converts a qcow2 image to a sparse raw image, because VirtualBox cannot read the compressed qcow2 images that
 * distributions publish. Throws kind `usage` for features that cannot be converted.
 */
export async function unpackQcow2(from: string, to: string, signal: AbortSignal): Promise<void> {
  await using source = await open(from)
  await using target = await open(to, 'w', 0o600)
  const { clusterBits, size, tables } = await readHeader(source, from)
  const cluster = 2 ** clusterBits
  await target.truncate(size)
  for (const [tableIndex, tableEntry] of tables.entries()) {
    const offset = Number(tableEntry & offsetMask)
    if (offset === 0) continue
    const entries = readTable(await readAt(source, offset, cluster))
    for (const [index, entry] of entries.entries()) {
      const position = (tableIndex * entries.length + index) * cluster
      if (entry === 0n || position >= size) continue
      signal.throwIfAborted()
      const content = await readCluster(source, entry, clusterBits)
      if (content === undefined) continue
      await target.write(content, 0, Math.min(content.length, size - position), position)
    }
  }
}
