import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Wire } from '../../../src/broker/frames.ts'

/** Opens a connection and returns a wire for each end. */
async function openPair(): Promise<{ near: Wire; far: Wire; nearClosed: Promise<unknown> }> {
  const folder = await mkdtemp(join(tmpdir(), 'wire-'))
  const path = join(folder, 'socket')
  const server = createServer().listen(path)
  onTestFinished(async () => {
    server.close()
    await rm(folder, { recursive: true, force: true })
  })
  await once(server, 'listening')
  const socket = connect(path)
  const [accepted] = (await once(server, 'connection')) as [Socket]
  return { near: new Wire(socket), far: new Wire(accepted), nearClosed: once(socket, 'close') }
}

test.skipIf(process.platform === 'win32')(
  'reports the connection as drained only once all data has been read, even if it closed earlier',
  async () => {
    const { near, far, nearClosed } = await openPair()
    const came: string[] = []
    near.listen({
      bytes(chunk) {
        came.push(chunk.toString())
        near.pause()
      },
      message: (message: { exit: number }) => came.push(`exit ${message.exit}`),
      closed: () => came.push('closed'),
      drained: () => came.push('over'),
    })
    for (const text of ['one', 'two', 'three']) far.bytes(Buffer.from(text))
    far.send({ exit: 7 })
    far.close()
    await nearClosed
    expect(came).toEqual(['one', 'closed'])
    near.resume()
    near.resume()
    near.resume()
    expect(came).toEqual(['one', 'closed', 'two', 'three', 'exit 7', 'over'])
  },
)

test.skipIf(process.platform === 'win32')('delivers all data to a slow reader', async () => {
  const { near, far } = await openPair()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  far.listen({})
  far.bytes(Buffer.alloc(8_000_000))
  far.close()
  for (let turns = 0; turns < 20; turns += 1) await turn() // lets the socket's buffers fill up
  await vi.advanceTimersByTimeAsync(60_000)
  let size = 0
  const over = new Promise<void>((resolve) =>
    near.listen({ bytes: (chunk) => (size += chunk.length), drained: resolve }),
  )
  await over
  expect(size).toBe(8_000_000)
})
