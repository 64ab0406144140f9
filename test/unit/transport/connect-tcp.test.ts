import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { connectTcp, interleaveFamilies } from '../../../src/transport/ssh/connect-tcp.ts'

const addresses = vi.hoisted(() => ({ all: [] as { address: string; family: number }[] }))
vi.mock('node:dns/promises', () => ({ lookup: async () => addresses.all }))

const v4 = (...list: string[]) => list.map((address) => ({ address, family: 4 }))
const v6 = (...list: string[]) => list.map((address) => ({ address, family: 6 }))
const never = () => new AbortController().signal

test('alternates between address families, in the order of the system', () => {
  const found = [...v6('::a', '::b', '::c'), ...v4('1.1.1.1')]
  expect(interleaveFamilies(found)).toEqual(['::a', '1.1.1.1', '::b', '::c'])
  expect(interleaveFamilies([])).toEqual([])
})

describe('a host with several addresses', () => {
  const server = createServer((socket) => void socket.on('error', () => {}))
  let port: number

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.2'), 'listening')
    ;({ port } = server.address() as AddressInfo)
  })
  afterAll(() => server.close())

  test('is reached at an address that answers', async () => {
    addresses.all = [...v6('::1'), ...v4('127.0.0.3', '127.0.0.2')]
    const socket = await connectTcp('dual.test', port, never())
    expect(socket.remoteAddress).toBe('127.0.0.2')
    socket.destroy()
  })

  test('that answers at no address is reported with the most informative error', async () => {
    addresses.all = [...v6('2001:db8::1'), ...v4('127.0.0.3')]
    await expect(connectTcp('dual.test', port, never())).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
  })

  test('is no longer tried after an abort', async () => {
    const ending = new AbortController()
    addresses.all = v4('192.0.2.1')
    const connecting = connectTcp('dual.test', port, ending.signal)
    ending.abort(new Error('enough'))
    await expect(connecting).rejects.toThrow('enough')
    await expect(connectTcp('dual.test', port, ending.signal)).rejects.toThrow('enough')
  })
})
