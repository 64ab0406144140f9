import { UserError } from '../errors.ts'
import type { Bytes } from './lines.ts'

/** An output stream of a container. With a terminal, all output is on stdout. */
export type OutputStream = 'stdout' | 'stderr'

/** A single write by a container to one of its output streams. */
export interface Frame {
  readonly stream: OutputStream
  readonly payload: Buffer
}

const headerLength = 8
/** Maximum length of a frame's payload, in bytes. Engines send at most 32 KiB; a longer payload is invalid. */
const longestPayload = 1 << 24
/** The type of a frame that contains an engine error. */
const engineError = 3

/**
 * Parses the multiplexed output of a container (API reference, "Stream format" of ContainerAttach): frames of one
 * byte for the type, three zeros, a big-endian 32-bit length, and the payload. A truncated last frame is dropped.
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

/** Returns the length of the first frame, in bytes, or the length of its header while the header is incomplete. */
function frameLength(bytes: Buffer): number {
  if (bytes.length < headerLength) return headerLength
  const length = bytes.readUInt32BE(4)
  if (length <= longestPayload) return headerLength + length
  throw new UserError(
    'failed',
    `cannot read the response from the engine: a frame of ${length} bytes is too long`,
  )
}

function frameOf(bytes: Buffer): Frame {
  const kind = bytes[0]
  const payload = bytes.subarray(headerLength)
  if (kind === engineError) throw new UserError('failed', payload.toString().trim())
  return { stream: kind === 2 ? 'stderr' : 'stdout', payload }
}
