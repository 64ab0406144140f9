import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { cacheCallerAddress } from '../../../src/drivers/net/caller-address.ts'
import { proxyAgent, proxyFor } from '../../../src/os/proxy.ts'

/** Hosts that the proxy was asked to connect to. */
let asked: string[] = []
let refusal: string | undefined

const service = createServer((request, response) =>
  response.end(request.url === '/proxied' ? '198.51.100.4\n' : '203.0.113.9\n'),
)
const proxy = createServer()
let servicePort = 0
let proxyUrl = ''

beforeAll(async () => {
  proxy.on('connect', ({ url = '' }, socket) => {
    asked.push(url)
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal}\r\n\r\n`)
      return
    }
    const there = connect(servicePort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(there).pipe(socket)
    })
  })
  for (const server of [service, proxy]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  servicePort = (service.address() as AddressInfo).port
  proxyUrl = `http://ana:secret@127.0.0.1:${(proxy.address() as AddressInfo).port}`
})
afterEach(() => {
  vi.unstubAllEnvs()
  asked = []
  refusal = undefined
})
afterAll(() => {
  for (const server of [service, proxy]) server.close().closeAllConnections()
})

describe('the proxy of the environment', () => {
  test.each([
    ['https://ec2.eu-west-1.amazonaws.com', 'http://p:1'],
    ['http://169.254.169.254/latest/meta-data', undefined],
    ['http://169.254.170.2/v2/credentials', undefined],
    ['http://[fd00:ec2::254]/latest', undefined],
    ['http://[fe80::1]/', undefined],
    ['http://168.63.129.16/', undefined],
    ['https://169.253.0.1/', 'http://p:1'],
    ['https://[2001:db8::1]/', 'http://p:1'],
  ])('for %s is %s', (url, expected) => {
    for (const name of ['HTTPS_PROXY', 'HTTP_PROXY']) vi.stubEnv(name, 'http://p:1')
    vi.stubEnv('NO_PROXY', '')
    expect(proxyFor(url)).toBe(expected)
  })

  test('is named without its password if it refuses to connect', async () => {
    vi.stubEnv('HTTP_PROXY', proxyUrl)
    refusal = '407 Proxy Authentication Required'
    const failed = await new Promise<Error>((resolve) => {
      get('http://ec2.invalid/', { agent: proxyAgent() }).on('error', resolve)
    })
    expect(failed).toMatchObject({ code: 'ERR_PROXY_REFUSED' })
    expect(failed.message).toMatch(
      /^proxy http:\/\/127\.0\.0\.1:\d+ refused to connect to ec2\.invalid: 407/,
    )
    expect(failed.message).not.toContain('secret')
  })

  test('is named if it does not exist', async () => {
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
    const failed = await new Promise<Error>((resolve) => {
      get('http://ec2.invalid/', { agent: proxyAgent() }).on('error', resolve)
    })
    expect(failed).toMatchObject({ code: 'ECONNREFUSED' })
    expect(failed.message).toContain('proxy http://127.0.0.1:1')
  })
})

const ask = (url: string) =>
  cacheCallerAddress({ FLEET_CHECKIP_URL: url })(4, {
    signal: new AbortController().signal,
    progress: () => {},
  })

describe('the public address of this computer', () => {
  test('is requested directly, as SSH connects, even if a proxy is configured', async () => {
    vi.stubEnv('HTTP_PROXY', proxyUrl)
    const url = `http://127.0.0.1:${servicePort}/`
    expect(await ask(url)).toEqual({ address: '203.0.113.9', source: url })
    expect(asked).toEqual([])
  })

  test('is requested through the proxy if there is no direct connection, which is reported', async () => {
    vi.stubEnv('HTTP_PROXY', proxyUrl)
    const { address, source } = await ask('http://checkip.invalid/proxied')
    expect(address).toBe('198.51.100.4')
    expect(source).toMatch(/through the proxy http:\/\/127\.0\.0\.1:\d+, which SSH does not use/)
    expect(asked).toEqual(['checkip.invalid:80'])
  })
})
