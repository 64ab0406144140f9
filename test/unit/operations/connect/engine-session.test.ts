import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CutExecs, EngineSession } from '../../../../src/operations/connect/engine-session.ts'

const upgraded =
  'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nUpgrade: tcp\r\n\r\n'
/** Head of an engine's response to a client that does not request an upgrade. */
const taken = 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n'
const inChunks =
  'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const start = Buffer.from('POST /v1.41/exec/e1/start HTTP/1.1\r\nHost: docker\r\n\r\n{}')
const inspect = Buffer.from('GET /v1.41/exec/e1/json HTTP/1.1\r\nHost: docker\r\n\r\n')

function frame(kind: number, text: string): Buffer {
  const payload = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = kind
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** Starts a stream and feeds it the output of the engine, in chunks that end at `ends`. */
function converse(output: Buffer, ends: readonly number[] = []) {
  const cut = new CutExecs()
  const conversation = new EngineSession(cut)
  expect(conversation.fromClient(start)).toBeUndefined()
  let at = 0
  for (const end of [...ends, output.length].sort((a, b) => a - b)) {
    if (end > at) conversation.fromEngine(output.subarray(at, end))
    at = Math.max(at, end)
  }
  return { conversation, cut }
}

describe('an engine session that is cut off', () => {
  const text = fc.string({ maxLength: 20 })
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), text))

  test('adds an error frame between complete frames, and nothing within a frame', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(upgraded, taken),
        frames,
        fc.array(fc.nat(400)),
        fc.nat(400),
        (head, all, ends, length) => {
          const whole = [Buffer.from(head), ...all.map(([kind, words]) => frame(kind, words))]
          const boundaries = whole.map(
            (_, index) => Buffer.concat(whole.slice(0, index + 1)).length,
          )
          const output = Buffer.concat(whole).subarray(0, Math.max(length, head.length))
          const { conversation } = converse(output, ends)
          conversation.fromClient(inspect) // input of the command, even if it looks like a request
          const last = conversation.cutOff('lost')
          expect(Buffer.from(last)).toEqual(
            boundaries.includes(output.length) ? frame(3, 'lost') : Buffer.alloc(0),
          )
        },
      ),
    )
  })

  test('adds nothing to the output of a terminal', () => {
    const { conversation } = converse(Buffer.from(`${upgraded}a prompt of some length $ `))
    expect(conversation.cutOff('lost')).toBe('')
  })

  test('reports the exit code of its own exec as unknown, and of no other exec', () => {
    const { conversation, cut } = converse(Buffer.from(`${upgraded}hello`))
    const next = () => new EngineSession(cut)
    expect(next().fromClient(inspect)).toBeUndefined()
    conversation.cutOff('lost')
    expect(next().fromClient(inspect)).toMatch(
      /^HTTP\/1\.1 503 [^]*"lost; the command's exit code is unknown"/,
    )
    const other = Buffer.from(inspect.toString().replace('e1', 'e2'))
    expect(next().fromClient(other)).toBeUndefined()
  })

  test('reports the reason to a client that waits for a response, and adds nothing within a response', () => {
    expect(converse(Buffer.alloc(0)).conversation.cutOff('lost')).toMatch(/^HTTP\/1\.1 503 /)
    expect(converse(Buffer.from(`${inChunks}5\r\nhel`)).conversation.cutOff('lost')).toBe('')
    expect(new EngineSession(new CutExecs()).cutOff('lost')).toBe('')
  })
})
