/** The types of entries that can be copied. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'hard link'

/**
 * One entry of a tar archive. Names are byte strings: each character is one byte (U+0000 to U+00FF),
 * since names on a disk need not be UTF-8.
 */
export interface Entry {
  readonly name: string
  readonly type: EntryType | 'FIFO' | 'device'
  readonly mode: number
  /** The modification time, in seconds since 1970. */
  readonly mtime: number
  /** The size of the content, in bytes; 0 unless the entry is a file. */
  readonly size: number
  /** The target of a link; empty for all other types. */
  readonly linkname: string
  readonly uid: number
  readonly gid: number
}

/** Encodes a string as UTF-8 in a byte string. */
export const toByteString = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

/** Decodes a byte string to its bytes. */
export const bytesOf = (name: string): Buffer => Buffer.from(name, 'latin1')

/** The maximum number of characters of a name in messages. */
const shownLimit = 1000

/** A byte string for a message: bytes that are not UTF-8, and control characters, are escaped. */
export function showName(name: string): string {
  if (name.length > shownLimit) return `${showName(name.slice(0, shownLimit))}…`
  const bytes = bytesOf(name)
  const text = bytes.toString('utf8')
  const isText = Buffer.from(text, 'utf8').equals(bytes)
  // oxlint-disable-next-line no-control-regex
  return (isText ? text : name).replaceAll(
    isText ? /[\p{Cc}\p{Cf}]/gu : /[^\x20-\x7e]/g,
    (char) => {
      const code = char.codePointAt(0) ?? 0
      return isText ? `\\u{${code.toString(16)}}` : `\\x${code.toString(16).padStart(2, '0')}`
    },
  )
}

export const blockSize = 512

/** The padding after `size` bytes of content. */
export const padding = (size: number): Buffer =>
  Buffer.alloc((blockSize - (size % blockSize)) % blockSize)

/** The end of an archive: two blocks of zeros. */
export const endOfArchive = Buffer.alloc(2 * blockSize)

const typeFlags: Readonly<Record<EntryType, string>> = {
  file: '0',
  'hard link': '1',
  symlink: '2',
  directory: '5',
}

/**
 * Writes a number in octal if it fits, or else in binary, which GNU and pax readers accept (tar(5), "Numeric
 * extensions").
 */
function writeNumber(header: Buffer, value: number, at: number, length: number): void {
  const octal = Math.max(0, Math.floor(value)).toString(8)
  if (octal.length < length) {
    header.write(octal.padStart(length - 1, '0'), at, 'latin1')
    return
  }
  header.writeUInt8(0x80, at)
  header.writeBigUInt64BE(BigInt(Math.floor(value)), at + length - 8)
}

function encodeBlock(
  { name, linkname, mode, uid, gid, size, mtime }: Omit<Entry, 'type'>,
  typeFlag: string,
): Buffer {
  const header = Buffer.alloc(blockSize)
  header.write(name, 0, 100, 'latin1')
  writeNumber(header, mode, 100, 8)
  writeNumber(header, uid, 108, 8)
  writeNumber(header, gid, 116, 8)
  writeNumber(header, size, 124, 12)
  writeNumber(header, mtime, 136, 12)
  header.write(' '.repeat(8), 148)
  header.write(typeFlag, 156)
  header.write(linkname, 157, 100, 'latin1')
  header.write('ustar  \0', 257) // the GNU format, whose names may have any length
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

const plainFacts = { mode: 0o644, uid: 0, gid: 0, mtime: 0, linkname: '' }

/** Encodes a name longer than its field as a GNU long-name entry, which precedes the entry itself. */
function encodeLong(name: string, typeFlag: 'L' | 'K'): Buffer[] {
  if (name.length <= 100) return []
  const content = bytesOf(`${name}\0`)
  const header = { ...plainFacts, name: '././@LongLink', size: content.length }
  return [encodeBlock(header, typeFlag), content, padding(content.length)]
}

/** The header of an entry. Its content and {@link padding} follow. */
export function encodeHeader(entry: Entry & { readonly type: EntryType }): Buffer {
  const name = entry.type === 'directory' ? `${entry.name}/` : entry.name
  return Buffer.concat([
    ...encodeLong(entry.linkname, 'K'),
    ...encodeLong(name, 'L'),
    encodeBlock({ ...entry, name }, typeFlags[entry.type]),
  ])
}
