import { UserError } from '../errors.ts'
import type { Bytes } from './lines.ts'

/** Which output of a container; everything a container with a terminal prints is stdout. */
export type OutputStream = 'stdout' | 'stderr'

/** One write of a container to one of its outputs, as the engine passes it on. */
export interface Frame {
  readonly stream: OutputStream
  readonly payload: Buffer
}

const headerLength = 8
/** Engines pass on what is written in pieces of 32 KiB at most; a frame that claims to be this long is none. */
const longestPayload = 1 << 24
/** The kind of a frame in which the engine tells that it failed halfway. */
const engineError = 3

/**
 * Takes apart the stream that carries both outputs of a container (API reference, "Stream
 * format" of ContainerAttach): frames of one byte for the kind, three of zeros, a big-endian
 * 32-bit length, and the payload. A frame cut short by the end of the stream is left out.
 */
export async function* readFrames(body: Bytes): AsyncGenerator<Frame, void> {
  let parts: Buffer[] = []
  let held = 0
  let wanted = headerLength
  for await (const chunk of body) {
    parts.push(chunk)
    held += chunk.length
    if (held < wanted) continue
    let bytes = parts.length === 1 ? chunk : Buffer.concat(parts, held)
    while (bytes.length >= (wanted = frameLength(bytes))) {
      yield frameOf(bytes.subarray(0, wanted))
      bytes = bytes.subarray(wanted)
    }
    parts = [bytes]
    held = bytes.length
  }
}

/** How many bytes the first frame takes; the header's length while that is not known. */
function frameLength(bytes: Buffer): number {
  if (bytes.length < headerLength) return headerLength
  const length = bytes.readUInt32BE(4)
  if (length <= longestPayload) return headerLength + length
  throw new UserError(
    'failed',
    `cannot read the response of the engine: a frame of ${length} bytes`,
  )
}

function frameOf(bytes: Buffer): Frame {
  const kind = bytes[0]
  const payload = bytes.subarray(headerLength)
  if (kind === engineError) throw new UserError('failed', payload.toString().trim())
  return { stream: kind === 2 ? 'stderr' : 'stdout', payload }
}
