import { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { UserError } from '../../../src/errors.ts'

/** A connection on which an answer begins and that is lost in the same turn, so that nobody listens yet. */
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

test('an answer whose connection is lost as it begins fails, in every way to read it', async () => {
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
