import { Readable } from 'node:stream'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readFrames } from '../../../src/engine/stream-frames.ts'
import { splitLines } from '../../../src/engine/lines.ts'
import { collect } from '../../support/collect.ts'

/** Splits the bytes into chunks that end at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Readable {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  )
  return Readable.from(ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)))
}

const places = fc.array(fc.nat(), { maxLength: 20 })

function frame(kind: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt8(kind, 0)
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

const framesOf = (body: Readable) => collect(readFrames(body))

describe('readFrames', () => {
  test('returns the same frames for any chunks', async () => {
    const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 300 })))
    await fc.assert(
      fc.asyncProperty(frames, places, async (written, cuts) => {
        const bytes = Buffer.concat(written.map(([kind, payload]) => frame(kind, payload)))
        expect(await framesOf(cut(bytes, cuts))).toEqual(
          written.map(([kind, payload]) => ({
            stream: kind === 1 ? 'stdout' : 'stderr',
            payload: Buffer.from(payload),
          })),
        )
      }),
    )
  })

  test('omits a frame that is truncated by the end of the stream', async () => {
    const bytes = Buffer.concat([frame(1, Buffer.from('whole')), frame(1, Buffer.from('cut'))])
    expect(await framesOf(Readable.from([bytes.subarray(0, -1)]))).toHaveLength(1)
  })

  test('refuses a frame that is too large', async () => {
    const endless = Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
    await expect(framesOf(Readable.from([endless]))).rejects.toMatchObject({ kind: 'failed' })
  })

  test('throws the error message that an engine sends within the stream', async () => {
    const bytes = Buffer.concat([frame(1, Buffer.from('a')), frame(3, Buffer.from('no log\n'))])
    await expect(framesOf(Readable.from([bytes]))).rejects.toMatchObject({
      kind: 'failed',
      message: 'no log',
    })
  })
})

describe('splitLines', () => {
  test('returns the same lines for any chunks, without splitting characters', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((s) => s.replaceAll('\n', ''))
    await fc.assert(
      fc.asyncProperty(fc.array(line), places, async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
        const found = await collect(splitLines(cut(bytes, cuts)))
        expect(found.map(String)).toEqual(lines)
      }),
    )
  })

  test('returns an unfinished last line, and splits a line of several megabytes', async () => {
    const long = Buffer.alloc(65_536, 'x')
    const body = Readable.from([...Array.from({ length: 40 }, () => long), Buffer.from('\nend')])
    const found = await collect(splitLines(body))
    expect(found.map(({ length }) => length)).toEqual([1 << 20, 1 << 20, 1 << 19, 3])
  })

  test('keeps all bytes of long lines, for any chunks', async () => {
    const line = fc.string({ maxLength: 12 }).map((text) => text.replaceAll('\n', ''))
    await fc.assert(
      fc.asyncProperty(fc.array(line), places, async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
        const found = await collect(splitLines(cut(bytes, cuts), 5))
        expect(found.join('')).toBe(lines.join(''))
        expect(Math.max(0, ...found.map(({ length }) => length))).toBeLessThanOrEqual(5)
      }),
    )
  })
})
