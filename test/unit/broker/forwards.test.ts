import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Forwards, openForwards } from '../../../src/broker/server/forwards.ts'
import { listenAndJoin } from '../../../src/operations/forward/listen-and-join.ts'
import { openLocal } from '../../../src/transport/local/local.ts'

const transport = openLocal({})
const target = (machine: string, address: string, key: string) => ({
  ...{ machine, address, port: 22, user: 'root' },
  ...{ hostKeys: [key], identityFiles: [] },
})
const host = (machine: string, address = '203.0.113.7', key = 'k') => ({
  ...{ target: target(machine, address, key), path: '/var/run/docker.sock' },
  env: { HOME: '/root', SECRET: 'hunter2' },
})
const hold = async () => () => {}
const unreachable = () => Promise.reject(new Error('no login'))

/** An echo server on this computer in place of a server on a host. */
const server = createServer({ allowHalfOpen: true }, (client) => void client.pipe(client))
let folder: string
let opened: Forwards[]
let released = 0

function openRegistry(): Forwards {
  const forwards = openForwards({
    folder,
    listen: listenAndJoin,
    openTarget:
      ({ port }) =>
      (over) =>
        over.dial({ host: '127.0.0.1', port }),
    use: async () => ({ transport, release: () => void (released += 1) }),
    onClosed: () => {},
  })
  opened.push(forwards)
  return forwards
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forwards-'))
  opened = []
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  for (const forwards of opened) {
    await forwards.drain()
    await forwards[Symbol.asyncDispose]()
  }
  server.close()
  await rm(folder, { recursive: true, force: true })
})

const serverPort = () => (server.address() as AddressInfo).port
const anyPort = { host: '127.0.0.1', port: 0 }
const portOf = ({ local }: { readonly local: string }) => Number(local.split(':').at(-1))

async function echo(port: number, data: string): Promise<string> {
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  client.end(data)
  return await text(client)
}

test('forwards a port to its target until it is stopped, and releases each use of the host', async () => {
  const forwards = openRegistry()
  const [one] = await forwards.start(
    host('web-1'),
    [{ listen: anyPort, target: { port: serverPort() } }],
    hold,
  )
  if (one === undefined) throw new Error('no forward')
  const before = released
  expect(await echo(portOf(one), 'hello')).toBe('hello')
  await expect.poll(() => released).toBe(before + 1)
  expect(forwards.status()).toMatchObject([{ machine: 'web-1', port: serverPort() }])
  await forwards.stop([one.local])
  expect(forwards.status()).toEqual([])
  const [error] = (await once(connect(portOf(one), '127.0.0.1'), 'error')) as [Error]
  expect(error.message).toContain('ECONNREFUSED')
})

test('keeps one forward when asked twice, refuses another target for its port, and undoes a failed start', async () => {
  const forwards = openRegistry()
  const ask = { listen: anyPort, target: { port: serverPort() } }
  const [one] = await forwards.start(host('web-1'), [ask], hold)
  const listen = { host: '127.0.0.1', port: portOf(one ?? { local: '' }) }
  await forwards.start(host('web-1'), [{ ...ask, listen }], hold)
  expect(forwards.status()).toHaveLength(1)
  await forwards.start(host('web-1', '203.0.113.8'), [{ ...ask, listen }], hold) // the host has a new address
  const namesake = host('web-1', '203.0.113.9', 'other')
  await expect(forwards.start(namesake, [{ ...ask, listen }], hold)).rejects.toThrow('already')
  await expect(forwards.start(host('web-2'), [ask, { ...ask, listen }], hold)).rejects.toThrow(
    `127.0.0.1:${listen.port} is already forwarded to web-1 port ${serverPort()}`,
  )
  await expect(forwards.start(host('web-2'), [ask], unreachable)).rejects.toThrow('no login')
  expect(forwards.status()).toHaveLength(1)
})

test('chooses a free port with orAnyPort when the port is in use, and fails without it', async () => {
  const forwards = openRegistry()
  const listen = { host: '127.0.0.1', port: serverPort() }
  const ask = { listen, orAnyPort: true, target: { port: serverPort() } }
  const [one] = await forwards.start(host('web-1'), [ask], hold)
  expect(portOf(one ?? { local: '' })).not.toBe(serverPort())
  await forwards.start(host('web-1'), [ask], hold) // this forward exists already
  expect(forwards.status()).toHaveLength(1)
  await expect(
    forwards.start(host('web-1'), [{ listen, target: { port: 1 } }], hold),
  ).rejects.toThrow(`port ${serverPort()} on 127.0.0.1 is already in use`)
})

test('resets a failed connection, and reports its error until a connection succeeds', async () => {
  const forwards = openRegistry()
  const [one] = await forwards.start(
    host('web-1'),
    [{ listen: anyPort, target: { port: serverPort() } }],
    hold,
  )
  const port = portOf(one ?? { local: '' })
  const at = serverPort()
  server.close()
  const [error] = (await once(connect(port, '127.0.0.1'), 'error')) as [Error]
  expect(error.message).toContain('ECONNRESET')
  expect(forwards.status()[0]?.error?.message).toContain('ECONNREFUSED')
  server.listen(at, '127.0.0.1')
  await once(server, 'listening')
  expect(await echo(port, 'again')).toBe('again')
  expect(forwards.status()[0]?.error).toBeUndefined()
})

test('restores forwards in the next broker, keeps secrets off the disk, and retries a port in use', async () => {
  const first = openRegistry()
  const [one] = await first.start(
    host('web-1'),
    [{ listen: anyPort, target: { port: serverPort() } }],
    hold,
  )
  const port = portOf(one ?? { local: '' })
  const file = join(folder, 'forwards.json')
  expect(await readFile(file, 'utf8')).not.toContain('hunter2')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const client = connect(port, '127.0.0.1')
  await once(client, 'connect')
  const second = openRegistry()
  await second.restore() // the first broker still listens on the port
  expect(second.status()[0]?.error?.message).toContain('already in use')
  await first.drain()
  client.end('still open') // an open connection survives the retirement of its broker
  expect(await text(client)).toBe('still open')
  await expect.poll(() => second.status()[0]?.error, { timeout: 10_000 }).toBeUndefined()
  expect(await echo(port, 'next')).toBe('next')
  expect(second.connections()).toBe(0)
})

test.skipIf(process.platform === 'win32')('a socket is private, and replaces no file', async () => {
  const forwards = openRegistry()
  const path = join(folder, 'db.sock')
  const ask = { listen: { path }, target: { port: serverPort() } }
  await forwards.start(host('web-1'), [ask], hold)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const client = connect({ path, allowHalfOpen: true })
  client.end('through the socket')
  expect(await text(client)).toBe('through the socket')
  const other = openRegistry()
  await expect(other.start(host('web-2'), [ask], hold)).rejects.toThrow('is already in use')
  await forwards.stop([path])
  await writeFile(path, 'a file')
  await expect(forwards.start(host('web-1'), [ask], hold)).rejects.toThrow('not a socket')
  expect(await readFile(path, 'utf8')).toBe('a file')
})
