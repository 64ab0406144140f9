import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { Engine } from '../../../../src/engine/engine.ts'
import { UserError } from '../../../../src/errors.ts'
import { openTarget } from '../../../../src/operations/forward/dial-target.ts'
import { refused } from '../../../../src/transport/sockets/socket-stream.ts'
import type { SocketAddress, Transport } from '../../../../src/transport/transport.ts'

const id = 'a'.repeat(64)
const details = (changes: object = {}, state = true) => ({
  ...{ Id: id, State: { Running: state }, HostConfig: { NetworkMode: 'default' } },
  NetworkSettings: { Networks: { bridge: { IPAddress: '172.17.0.2' } }, Ports: {} },
  ...changes,
})
const listed = (name: string, service: string) => ({
  ...{ Id: id, Names: [`/${name}`], Image: 'i', Created: 1, State: 'running' },
  Labels: { 'com.docker.compose.service': service },
})

/** Returns an engine with fixed answers, keyed by path. An answer that is a function is called for each request. */
function engineOf(answers: Readonly<Record<string, unknown>>) {
  const asked: string[] = []
  const engine: Pick<Engine, 'json'> = {
    async json({ path }, read) {
      asked.push(path)
      const answer = answers[path]
      if (answer === undefined) throw new UserError('failed', `No such container: ${path}`)
      return read(typeof answer === 'function' ? (answer as () => unknown)() : answer, '')
    },
  }
  return { asked, engine: engine as Engine }
}

/** Returns a host on which only these addresses accept connections. */
function hostWith(...open: readonly string[]) {
  const dialled: string[] = []
  const transport = {
    async dial(address: SocketAddress) {
      const where = 'path' in address ? address.path : `${address.host}:${address.port}`
      dialled.push(where)
      if (!open.includes(where)) throw refused('Connection refused')
      return new PassThrough()
    },
  } as Partial<Transport> as Transport
  return { dialled, transport }
}

test('dials a container at its address, which is looked up for each connection', async () => {
  let address = '172.17.0.2'
  const networks = () => ({ NetworkSettings: { Networks: { n: { IPAddress: address } } } })
  const { engine } = engineOf({ '/containers/db/json': () => details(networks()) })
  const { dialled, transport } = hostWith('172.17.0.2:5432', '172.17.0.9:5432')
  const dial = openTarget({ container: 'db', port: 5432 }, engine)
  await dial(transport)
  address = '172.17.0.9'
  await dial(transport)
  expect(dialled).toEqual(['172.17.0.2:5432', '172.17.0.9:5432'])
})

test('shares one lookup among simultaneous connections', async () => {
  const { asked, engine } = engineOf({ '/containers/db/json': details() })
  const { transport } = hostWith('172.17.0.2:5432')
  const dial = openTarget({ container: 'db', port: 5432 }, engine)
  await Promise.all(Array.from({ length: 100 }, () => dial(transport)))
  expect(asked).toHaveLength(1)
})

test('tries a published port first, then the addresses of the container', async () => {
  const Ports = { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '81/tcp': null }
  const NetworkSettings = { Networks: { n: { IPAddress: '10.0.0.2' } }, Ports }
  const { engine } = engineOf({ '/containers/web/json': details({ NetworkSettings }) })
  const { dialled, transport } = hostWith('10.0.0.2:80')
  await openTarget({ container: 'web', port: 80 }, engine)(transport)
  expect(dialled).toEqual(['localhost:8080', '10.0.0.2:80'])
})

const HostConfig = (NetworkMode: string) => ({ HostConfig: { NetworkMode } })

test('dials a Compose service, and containers in the network of the host or of another container', async () => {
  const { engine } = engineOf({
    '/containers/json': [listed('shop-web-1', 'web')],
    [`/containers/${id}/json`]: details(HostConfig('host')),
    '/containers/side/json': details({ ...HostConfig('container:main'), NetworkSettings: {} }),
    '/containers/main/json': details(),
  })
  const { dialled, transport } = hostWith('localhost:80', '172.17.0.2:80')
  await openTarget({ container: 'web', port: 80 }, engine)(transport)
  await openTarget({ container: 'side', port: 80 }, engine)(transport)
  await openTarget({ port: 80 }, engine)(transport)
  expect(dialled).toEqual(['localhost:80', '172.17.0.2:80', 'localhost:80'])
})

test.each([
  ['does not exist', undefined, /No such container/],
  ['is stopped', details({}, false), /the container web is not running/],
  ['has no address', details({ NetworkSettings: { Networks: {} } }), /has no network address/],
  ['has an invalid ID', { Id: '--rm', State: {} }, /not a valid ID/],
  [
    'has an invalid address',
    details({ NetworkSettings: { Networks: { n: { IPAddress: '-oProxy' } } } }),
    /no network addr/,
  ],
  ['refuses connections', details(), /cannot connect to web: 172\.17\.0\.2:80: Connection refused/],
])('reports an error for a container that %s', async (_, answer, message) => {
  const { engine } = engineOf({ '/containers/json': [], '/containers/web/json': answer })
  const { transport } = hostWith()
  await expect(openTarget({ container: 'web', port: 80 }, engine)(transport)).rejects.toThrow(
    message,
  )
})
