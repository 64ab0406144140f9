const blockSize = 512
const parseOctal = (field: Buffer): number =>
  Number.parseInt(field.toString('latin1').replaceAll('\0', ' ').trim() || '0', 8)

/** The size field of a header: octal, or binary where the first bit says so (tar(5), "Numeric extensions"). */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136)
  const [first = 0] = field
  return first >= 0x80 ? Number(field.readBigUInt64BE(4)) : parseOctal(field)
}

/** What a pax header says of the size of the file that follows, if anything: `20 size=8589934592`. */
const paxSize = (records: Buffer): number | undefined => {
  const size = /(?:^|\n)\d+ size=(\d+)\n/.exec(records.toString('latin1'))?.[1]
  return size === undefined ? undefined : Number(size)
}

/**
 * Counts the bytes of the files in a tar archive as it passes, without those that the archive adds. Gives what has
 * passed up to the end of each chunk. Archives as tar(5) tells them: ustar, GNU and pax.
 */
export function countArchived(): (chunk: Buffer) => number {
  let files = 0
  let pending = Buffer.alloc(0) // of a header, or of pax records
  let ahead = 0 // bytes of contents and their padding that are still to come
  let counted = 0 // of these, how many are a file's
  let records: number | undefined // how many bytes of pax records come next
  let told: number | undefined // the size that they told

  const readHeader = (header: Buffer): void => {
    const type = String.fromCodePoint(header[156] ?? 0)
    if (type === 'x') {
      records = sizeOf(header)
      return
    }
    const isExtension = type === 'g' || type === 'L' || type === 'K'
    const size = isExtension ? sizeOf(header) : (told ?? sizeOf(header))
    if (!isExtension) told = undefined
    const hasContent = isExtension || type === '0' || type === '\0' || type === '7'
    ahead = hasContent ? Math.ceil(size / blockSize) * blockSize : 0
    counted = hasContent && !isExtension ? size : 0
  }

  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (ahead > 0) {
        const passed = Math.min(ahead, chunk.length - at)
        const ofFile = Math.min(counted, passed)
        files += ofFile
        counted -= ofFile
        ahead -= passed
        at += passed
        continue
      }
      const wanted = records === undefined ? blockSize : Math.ceil(records / blockSize) * blockSize
      const part = chunk.subarray(at, at + wanted - pending.length)
      pending = Buffer.concat([pending, part])
      at += part.length
      if (pending.length < wanted) break
      if (records === undefined) readHeader(pending)
      else {
        told = paxSize(pending.subarray(0, records))
        records = undefined
      }
      pending = Buffer.alloc(0)
    }
    return files
  }
}
