import { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { UserError } from '../../../src/errors.ts'

/**
 * A connection that receives the start of a response and is destroyed in the same turn, before anyone reads from it.
 */
class LostAtOnce extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
    setImmediate(() => {
      this.push('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
      this.destroy(new UserError('unreachable', 'lost'))
    })
  }
}

test('a response whose connection is lost right after its start fails with every reading method', async () => {
  await using engine = openEngine(async () => new LostAtOnce(), { label: 'h1' })
  const failure = {
    kind: 'unreachable',
    machine: 'h1',
    message: expect.stringContaining('was lost'),
  }
  const request = { path: '/x' }
  await expect(engine.json(request, String)).rejects.toMatchObject(failure)
  await expect(engine.stream(request).then(({ body }) => text(body))).rejects.toMatchObject(failure)
  const lines = engine.lines(request, String)[Symbol.asyncIterator]()
  await expect(lines.next()).rejects.toMatchObject(failure)
})
