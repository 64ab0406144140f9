/** A file in the root directory of an ISO image. */
export interface IsoFile {
  /** The file name, up to 30 characters. */
  readonly name: string
  readonly content: Uint8Array
}

const sector = 2048

/** Encodes a number in both byte orders, as ECMA-119 7.2.3 and 7.3.3 require. */
function both16(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(value, 0)
  bytes.writeUInt16BE(value, 2)
  return bytes
}

function both32(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}

const padded = (text: string, length: number): Buffer => Buffer.from(text.padEnd(length), 'latin1')

/** Big-endian UCS-2, as in Joliet names. */
const wide = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16()

const wholeSectors = (bytes: Uint8Array): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((sector - (bytes.length % sector)) % sector)])

/** Creates a directory record (ECMA-119 9.1). The date is unspecified: the year 1900, and zeros. */
function directoryRecord(
  name: Buffer,
  { at, size, isFolder }: { at: number; size: number; isFolder: boolean },
): Buffer {
  const length = 33 + name.length + (name.length % 2 === 0 ? 1 : 0)
  const record = Buffer.alloc(length)
  record.writeUInt8(length, 0)
  both32(at).copy(record, 2)
  both32(size).copy(record, 10)
  record.writeUInt8(isFolder ? 2 : 0, 25)
  both16(1).copy(record, 28)
  record.writeUInt8(name.length, 32)
  name.copy(record, 33)
  return record
}

interface Place {
  readonly at: number
  readonly size: number
}

/** Creates the sector with the records of the root directory, which fit in one sector. */
function folder(at: number, files: readonly (Place & { readonly name: Buffer })[]): Buffer {
  const self = { at, size: sector, isFolder: true }
  const records = [
    directoryRecord(Buffer.from([0]), self),
    directoryRecord(Buffer.from([1]), self),
    ...files.map(({ name, ...place }) => directoryRecord(name, { ...place, isFolder: false })),
  ]
  return wholeSectors(Buffer.concat(records))
}

/** A path table with only the root (ECMA-119 9.4). */
function pathTable(root: number, order: 'LE' | 'BE'): Buffer {
  const table = Buffer.alloc(10)
  table.writeUInt8(1, 0)
  if (order === 'LE') table.writeUInt32LE(root, 2)
  else table.writeUInt32BE(root, 2)
  if (order === 'LE') table.writeUInt16LE(1, 6)
  else table.writeUInt16BE(1, 6)
  return table
}

interface Volume {
  readonly kind: 1 | 2
  readonly label: Buffer
  readonly sectors: number
  readonly tables: { readonly le: number; readonly be: number }
  readonly root: number
}

/** A primary or supplementary volume descriptor (ECMA-119 8.4, 8.5). */
function descriptor({ kind, label, sectors, tables, root }: Volume): Buffer {
  const block = Buffer.alloc(sector)
  const isWide = kind === 2
  const blanks = (length: number): Buffer =>
    isWide ? wide(' '.repeat(length / 2)) : padded('', length)
  block.writeUInt8(kind, 0)
  block.write('CD001', 1)
  block.writeUInt8(1, 6)
  blanks(32).copy(block, 8)
  blanks(32).copy(block, 40)
  label.copy(block, 40)
  both32(sectors).copy(block, 80)
  if (isWide) block.write('%/E', 88) // UCS-2 level 3: Joliet
  both16(1).copy(block, 120)
  both16(1).copy(block, 124)
  both16(sector).copy(block, 128)
  both32(10).copy(block, 132)
  block.writeUInt32LE(tables.le, 140)
  block.writeUInt32BE(tables.be, 148)
  directoryRecord(Buffer.from([0]), { at: root, size: sector, isFolder: true }).copy(block, 156)
  for (const [at, length] of [
    [190, 128],
    [318, 128],
    [446, 128],
    [574, 128],
  ] as const) {
    blanks(length).copy(block, at)
  }
  blanks(36).copy(block, 702)
  blanks(36).copy(block, 739)
  blanks(36).copy(block, 776)
  for (const at of [813, 830, 847, 864]) block.write('0'.repeat(16), at) // no date
  block.writeUInt8(1, 881)
  return block
}

/**
 * Creates an ISO 9660 image (ECMA-119) with files in its root directory. It includes Joliet names, because ISO 9660
 * names cannot contain `-` or lowercase letters, but cloud-init's file names do. The same input results in the same
 * image.
 */
export function writeIso(label: string, files: readonly IsoFile[]): Buffer {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const [tableLe, tableBe, wideLe, wideBe, root, wideRoot] = [19, 20, 21, 22, 23, 24]
  let next = 25
  const places = sorted.map(({ content }) => {
    const place = { at: next, size: content.length }
    next += Math.max(1, Math.ceil(content.length / sector))
    return place
  })
  const named = (nameOf: (name: string) => Buffer) =>
    sorted.map(({ name }, index) => ({ name: nameOf(name), ...(places[index] as Place) }))
  const volume = { sectors: next }
  const end = Buffer.alloc(sector)
  end.writeUInt8(255, 0)
  end.write('CD001', 1)
  end.writeUInt8(1, 6)
  return Buffer.concat([
    Buffer.alloc(16 * sector),
    descriptor({
      ...volume,
      kind: 1,
      label: Buffer.from(label, 'latin1'),
      tables: { le: tableLe, be: tableBe },
      root,
    }),
    descriptor({
      ...volume,
      kind: 2,
      label: wide(label),
      tables: { le: wideLe, be: wideBe },
      root: wideRoot,
    }),
    end,
    ...[pathTable(root, 'LE'), pathTable(root, 'BE')].map(wholeSectors),
    ...[pathTable(wideRoot, 'LE'), pathTable(wideRoot, 'BE')].map(wholeSectors),
    folder(
      root,
      named((name) => Buffer.from(`${name.replaceAll('-', '_').toUpperCase()}.;1`)),
    ),
    folder(wideRoot, named(wide)),
    ...sorted.map(({ content }) =>
      wholeSectors(content.length === 0 ? Buffer.alloc(sector) : content),
    ),
  ])
}
