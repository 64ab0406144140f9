import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openSockets } from '../../../src/broker/server/engine-sockets.ts'

const host = { machine: 'h1', address: 'h1', port: 22, user: 'root', hostKeys: [] }
const target = { ...host, identityFiles: [], via: undefined }

/** Serves an engine's socket through `dial`, and returns a function that connects to it as a client would. */
async function serve(dial: () => Promise<PassThrough>): Promise<() => Promise<unknown>> {
  const folder = await mkdtemp(join(tmpdir(), 'sockets-'))
  let ask: (() => Promise<unknown>) | undefined
  const sockets = openSockets({
    folder,
    dial,
    serve: async (_path, connect) => {
      ask = connect
      return { [Symbol.asyncDispose]: async () => {} }
    },
    isAlive: async () => true,
    onClosed: () => {},
  })
  onTestFinished(async () => {
    sockets.drain()
    await sockets[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  await sockets.hold({ target, env: {}, path: '/run/docker.sock', file: 'h1.sock' }, () => {})
  return async () => ask?.()
}

test('writes no secrets of a connection to the list of sockets on disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sockets-'))
  const sockets = openSockets({
    ...{ folder, isAlive: async () => true, onClosed: () => {} },
    dial: async () => new PassThrough(),
    serve: async () => ({ [Symbol.asyncDispose]: async () => {} }),
  })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const env = { HOME: '/home/ana', PATH: '/bin', AWS_SECRET_ACCESS_KEY: 'secret' }
  const through = { ...target, proxyCommand: { argv: ['aws', 'ssm', 'start-session'] } }
  await sockets.keep({ target: through, env, path: '/s', file: 'h1.sock' }, 'context')
  sockets.drain()
  const [kept] = JSON.parse(await readFile(join(folder, 'sockets.json'), 'utf8')) as object[]
  expect(kept).toMatchObject({
    env: { HOME: '/home/ana', PATH: '/bin' },
    target: { address: 'h1' },
  })
  expect(JSON.stringify(kept)).not.toContain('secret')
})

test('dials a host that refused a connection again immediately, because it may be back', async () => {
  const dial = vi.fn<() => Promise<PassThrough>>(async () => new PassThrough())
  dial.mockRejectedValueOnce(new Error('refused'))
  const ask = await serve(dial)
  await expect(ask()).rejects.toThrow('refused')
  expect(await ask()).toBeInstanceOf(PassThrough)
})

test('reports a timeout to the clients that connect shortly afterward, without another attempt', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const dial = vi.fn<() => Promise<PassThrough>>(async () => new PassThrough())
  dial.mockImplementationOnce(async () => {
    vi.advanceTimersByTime(10_000)
    throw new Error('silent')
  })
  const ask = await serve(dial)
  await expect(ask()).rejects.toThrow('silent')
  await expect(ask()).rejects.toThrow('silent')
  vi.advanceTimersByTime(2_500)
  expect(await ask()).toBeInstanceOf(PassThrough)
  expect(dial).toHaveBeenCalledTimes(2)
})
