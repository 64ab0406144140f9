import { UserError } from '../../../errors.ts'
import { type Entry, blockSize } from './tar-format.ts'

/** An entry with its content, which can be read until the next entry is requested. */
export interface Read {
  readonly entry: Entry
  readonly content: AsyncIterable<Buffer>
}

/** The largest extension header of an entry, in bytes. */
const extensionLimit = 1 << 20
/** The maximum number of extension headers of an entry. */
const extensionsPerEntry = 16
/** The maximum padding after the end of an archive, in bytes. */
const trailerLimit = 1 << 20

const refuse = (why: string): UserError => new UserError('failed', `the archive is invalid: ${why}`)

/** Reads pieces of requested sizes from a stream. */
function openBytes(source: AsyncIterable<Buffer>) {
  const chunks = source[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)
  /** Reads between 1 and `limit` bytes; undefined at the end. */
  async function some(limit: number): Promise<Buffer | undefined> {
    while (held.length === 0) {
      const next = await chunks.next()
      if (next.done === true) return undefined
      held = next.value
    }
    const part = held.subarray(0, limit)
    held = held.subarray(part.length)
    return part
  }
  async function exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let missing = count; missing > 0;) {
      const part = await some(missing)
      if (part === undefined) throw refuse('it is incomplete')
      parts.push(part)
      missing -= part.length
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  }
  return { some, exactly, end: () => chunks.return?.() }
}

type Bytes = ReturnType<typeof openBytes>

const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0)

const textAt = (header: Buffer, at: number, length: number): string => {
  const field = header.toString('latin1', at, at + length)
  const end = field.indexOf('\0')
  return end === -1 ? field : field.slice(0, end)
}

function numberAt(header: Buffer, at: number, length: number): number {
  const first = header[at] ?? 0
  if (first >= 0x80) {
    if (first !== 0x80 || !isZero(header.subarray(at + 1, at + length - 8))) {
      throw refuse('a header field is negative or too large')
    }
    const value = header.readBigUInt64BE(at + length - 8)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse('a header field is too large')
    return Number(value)
  }
  const text = header
    .toString('latin1', at, at + length)
    .replaceAll('\0', ' ')
    .trim()
  if (!/^[0-7]*$/.test(text)) throw refuse('a header field is malformed')
  return text === '' ? 0 : Number.parseInt(text, 8)
}

/** Reads the modification time; a negative one becomes 0 instead of an error. */
function timeAt(header: Buffer): number {
  return (header[136] ?? 0) >= 0x80 && header[136] !== 0x80 ? 0 : numberAt(header, 136, 12)
}

function checkSum(header: Buffer): void {
  const sum = header.reduce(
    (total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte),
    0,
  )
  if (sum !== numberAt(header, 148, 8)) throw refuse('it is not a tar archive')
}

/** Values of pax headers or GNU long names for the next entry. */
interface Extensions {
  path?: string
  linkpath?: string
  size?: number
  mtime?: number
}

const wholeNumber = (text: string): number => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value))
    throw refuse(`the size ${JSON.stringify(text.slice(0, 40))} is malformed`)
  return value
}

/** Reads pax records: `LENGTH KEY=VALUE`, each ending in a line feed. */
function readPax(records: string, extensions: Extensions): void {
  for (let at = 0; at < records.length;) {
    const [head = '', digits = ''] = /^(\d{1,7}) /.exec(records.slice(at, at + 9)) ?? []
    const end = at + Number(digits)
    const record = records.slice(at + head.length, end - 1)
    const equals = record.indexOf('=')
    if (head === '' || end <= at + head.length || records[end - 1] !== '\n' || equals < 1) {
      throw refuse('a pax record is malformed')
    }
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)]
    if (key.startsWith('GNU.sparse'))
      throw refuse('it contains a sparse file, which is not supported')
    if (key === 'path' || key === 'linkpath') extensions[key] = value
    if (key === 'size') extensions.size = wholeNumber(value)
    if (key === 'mtime' && /^\d+(?:\.\d*)?$/.test(value)) extensions.mtime = Number(value)
    at = end
  }
}

const types: Readonly<Record<string, Entry['type']>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hard link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'FIFO',
}

function readEntry(header: Buffer, extensions: Extensions): Entry {
  const flag = header.toString('latin1', 156, 157)
  const type = types[flag]
  if (type === undefined)
    throw refuse(`it contains an entry of unsupported type ${JSON.stringify(flag)}`)
  const isPosix = header.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isPosix ? textAt(header, 345, 155) : ''
  const short = textAt(header, 0, 100)
  const size = extensions.size ?? numberAt(header, 124, 12)
  if (size !== 0 && type !== 'file') throw refuse(`a ${type} entry has content`)
  const isLink = type === 'symlink' || type === 'hard link'
  return {
    name: extensions.path ?? (prefix === '' ? short : `${prefix}/${short}`),
    type,
    mode: numberAt(header, 100, 8) & 0o7777,
    mtime: extensions.mtime ?? timeAt(header),
    size,
    linkname: isLink ? (extensions.linkpath ?? textAt(header, 157, 100)) : '',
    uid: numberAt(header, 108, 8),
    gid: numberAt(header, 116, 8),
  }
}

/** Reads an extension header for the next entry. Returns false for other headers. */
async function readExtension(
  header: Buffer,
  bytes: Bytes,
  extensions: Extensions,
): Promise<boolean> {
  const flag = header.toString('latin1', 156, 157)
  if (!'xgLK'.includes(flag) || flag === '\0') return false
  const size = numberAt(header, 124, 12)
  if (size > extensionLimit) throw refuse('a name or a pax record is too long')
  const content = (await bytes.exactly(Math.ceil(size / blockSize) * blockSize)).subarray(0, size)
  if (flag === 'x') readPax(content.toString('latin1'), extensions)
  else if (flag === 'L') extensions.path = textAt(content, 0, size)
  else if (flag === 'K') extensions.linkpath = textAt(content, 0, size)
  return true // global headers (`g`) are ignored
}

/**
 * Reads a tar archive (ustar, GNU or pax) entry by entry. Unread content is skipped. The stream is read to its end.
 * Throws kind `failed` when the archive is invalid or truncated, and rethrows the stream's errors.
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<Read, void> {
  const bytes = openBytes(source)
  try {
    for (;;) {
      const extensions: Extensions = {}
      let header = await bytes.exactly(blockSize)
      for (let count = 0; !isZero(header); count += 1) {
        checkSum(header)
        if (!(await readExtension(header, bytes, extensions))) break
        if (count === extensionsPerEntry) throw refuse('an entry has too many extension headers')
        header = await bytes.exactly(blockSize)
      }
      if (isZero(header)) break
      const entry = readEntry(header, extensions)
      let left = entry.size
      const content = (async function* read() {
        while (left > 0) {
          const part = await bytes.some(left)
          if (part === undefined) throw refuse('it is incomplete')
          left -= part.length
          yield part
        }
      })()
      yield { entry, content }
      while (left > 0) left -= (await bytes.some(left))?.length ?? ended()
      await bytes.exactly((blockSize - (entry.size % blockSize)) % blockSize)
    }
    let trailer = 0
    for (let part = await bytes.some(blockSize); part; part = await bytes.some(1 << 16)) {
      trailer += part.length
      if (trailer > trailerLimit) throw refuse('it contains data after the end-of-archive marker')
    }
  } finally {
    await bytes.end()
  }
}

function ended(): never {
  throw refuse('it is incomplete')
}
