import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { serveEngineSocket } from '../../../../src/operations/connect/engine-socket.ts'

/** Resolves to all data received from a socket. Unlike an iterator, it leaves the socket open for writing. */
const hear = (socket: Socket): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const received: Buffer[] = []
    socket.on('data', (chunk) => received.push(chunk))
    socket.once('end', () => resolve(Buffer.concat(received)))
    socket.once('error', reject)
  })
const text = async (socket: Socket): Promise<string> => (await hear(socket)).toString()

const refuseDial = () => Promise.reject(new Error('no'))

/** Starts a server that handles each connection with `serve`, and an engine socket in front of it. */
async function openSocket(serve: (client: Socket) => unknown) {
  const folder = await mkdtemp(join(tmpdir(), 'f-'))
  const far = join(folder, 'far.sock')
  const server = createServer({ allowHalfOpen: true }, (client) => void serve(client)).listen(far)
  await once(server, 'listening')
  const served = await serveEngineSocket(async () => {
    const socket = connect({ path: far, allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  }, folder)
  onTestFinished(async () => {
    await served[Symbol.asyncDispose]()
    server.close()
    await rm(folder, { recursive: true })
  })
  return {
    path: served.path,
    served,
    folder,
    open: () => connect({ path: served.path, allowHalfOpen: true }),
  }
}

test('the socket is accessible to this user only, and its path is short', async () => {
  const { path } = await openSocket(() => {})
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700)
  expect(Buffer.byteLength(path)).toBeLessThan(104)
})

test('a path that is too long is refused without leaving files behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), `f-${'x'.repeat(90)}`))
  onTestFinished(() => rm(folder, { recursive: true }))
  await expect(serveEngineSocket(refuseDial, folder)).rejects.toMatchObject({ kind: 'failed' })
  expect(await readdir(folder)).toEqual([])
})

test('the server can respond after the client has ended its input', async () => {
  const { open } = await openSocket(async (client) => {
    const request = await text(client)
    client.end(`received ${request}`)
  })
  const client = open()
  client.end('hello')
  expect(await text(client)).toBe('received hello')
})

test('the client can send data after the server has ended its output', async () => {
  let received: Promise<string> | undefined
  const { open } = await openSocket((client) => {
    client.end('that is all')
    received = text(client)
  })
  const client = open()
  expect(await text(client)).toBe('that is all')
  client.end('more')
  await expect.poll(() => received).toBe('more')
})

test('large amounts of data pass completely in both directions, even to a slow reader', async () => {
  const much = Buffer.alloc(20_000_000, 'fleet ')
  const { open } = await openSocket((client) => void client.pipe(client))
  const client = open()
  const back = hear(client)
  client.end(much)
  expect((await back).equals(much)).toBe(true)
})

test('docker-py receives the head of an attach response separately from the data', async () => {
  const head = 'HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n'
  const { open } = await openSocket((client) => {
    client.once('data', () => client.end(`${head}hello`))
  })
  const client = open()
  const pieces: string[] = []
  client.on('data', (piece: Buffer) => pieces.push(piece.toString()))
  client.write(
    'POST /v1.41/containers/c/attach?logs=1&stream=0 HTTP/1.1\r\nUser-Agent: docker-sdk-python/7.1.0\r\n\r\n',
  )
  await once(client, 'end')
  expect(pieces).toEqual([head, 'hello'])
})

test('a connection that fails does not affect the others', async () => {
  const { open } = await openSocket((client) => {
    client.once('data', (word) => (String(word) === 'die' ? client.destroy() : client.end('alive')))
  })
  const [dying, living] = [open(), open()]
  dying.write('die')
  expect(await text(dying)).toBe('')
  living.end('live')
  expect(await text(living)).toBe('alive')
})

test('a failed dial is reported to the client as an HTTP error; disposing closes and removes the socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'f-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const failing = await serveEngineSocket(refuseDial, folder)
  const refused = connect(failing.path)
  refused.write('GET /info HTTP/1.1\r\n\r\n')
  expect(await text(refused)).toMatch(/^HTTP\/1.1 503 [^]*\r\n\r\n\{"message":"fleet: no"\}$/)
  await failing[Symbol.asyncDispose]()
  expect(await readdir(folder)).toEqual([])

  const { open, served, path } = await openSocket(() => {})
  const client = open()
  await once(client, 'connect')
  const closed = once(client, 'close')
  client.resume()
  client.on('end', () => client.end())
  await served[Symbol.asyncDispose]()
  await closed
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
})
