import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { assert, asyncProperty, integer, uint8Array } from 'fast-check'
import { expect, test } from 'vitest'
import { afterMark, newMark } from '../../../src/transport/output-after-mark.ts'

function* print(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(1 << 16, 'y')
}

test('passes on exactly the output after the mark, for any preceding output and any chunks', async () => {
  const part = uint8Array({ maxLength: 60 })
  await assert(
    asyncProperty(part, part, integer({ min: 1, max: 50 }), async (before, after, size) => {
      const mark = newMark()
      const all = Buffer.concat([before, Buffer.from(`${mark}\n`), after])
      const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
        all.subarray(index * size, (index + 1) * size),
      )
      const rest = afterMark(Readable.from(chunks), mark)
      expect((await buffer(rest)).equals(Buffer.from(after))).toBe(true)
      expect(rest.isPastMark).toBe(true)
      expect(rest.greeting).toBe(Buffer.from(before).toString())
    }),
  )
})

test('passes on nothing if the program was not started, and keeps the output as the greeting', async () => {
  const rest = afterMark(
    Readable.from([Buffer.from('This account is '), Buffer.from('closed')]),
    'm',
  )
  expect((await buffer(rest)).length).toBe(0)
  expect({ ...{ isPast: rest.isPastMark }, said: rest.greeting }).toEqual({
    isPast: false,
    said: 'This account is closed',
  })
})

test('a login shell that prints too much output is an error', async () => {
  const endless = Readable.from(print())
  await expect(buffer(afterMark(endless, 'm'))).rejects.toThrow('printed too much output')
  expect(endless.destroyed).toBe(true)
})

test('reports an error if the output is aborted', async () => {
  const output = new PassThrough()
  const rest = afterMark(output, 'm')
  output.write('m\nhalf')
  const read = buffer(rest)
  output.destroy()
  await expect(read).rejects.toThrow(/premature|aborted/i)
})
