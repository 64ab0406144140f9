import { once } from 'node:events'
import { type RequestListener, createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { commonVersion, isOlder, newestVersion } from '../../../src/engine/api-version.ts'
import { openEngine } from '../../../src/engine/http-engine.ts'

/** Serves HTTP on loopback as an engine of another version would, and opens an engine client for it. */
async function serve(answer: RequestListener, release?: string) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dial = async (): Promise<Duplex> => connect(port, '127.0.0.1')
  const engine = openEngine(dial, { label: 'old', release })
  onTestFinished(async () => {
    await engine[Symbol.asyncDispose]()
    server.close()
  })
  return { engine, asked }
}

/**
 * Answers as an engine with the API versions from `oldest` to `newest`. Without `header`, responses do not show the
 * version.
 */
const speaking =
  (oldest: string, newest: string, header: string | undefined = newest): RequestListener =>
  ({ url = '' }, response) => {
    const asked = /^\/v([\d.]+)\//.exec(url)?.[1]
    if (url === '/_ping') response.setHeader('Api-Version', newest)
    else if (header !== '') response.setHeader('Api-Version', header)
    if (asked !== undefined && (isOlder(newest, asked) || isOlder(asked, oldest))) {
      response.writeHead(400).end('client version is too new, or too old')
    } else if (url === '/version') response.end(JSON.stringify({ MinAPIVersion: oldest }))
    else response.end(JSON.stringify({ url }))
  }

const info = { path: '/info' }
const raw = (value: unknown) => value as { url: string }

test('compares API versions numerically', () => {
  expect([isOlder('1.9', '1.10'), isOlder('1.10', '1.9'), isOlder('1.40', '2.1')]).toEqual([
    true,
    false,
    true,
  ])
  expect(commonVersion('9.99', 'm')).toBe(newestVersion)
})

describe('the API version', () => {
  test('needs no extra request for an engine that supports the newest version', async () => {
    const { engine, asked } = await serve(speaking('1.24', '1.60'))
    await engine.json(info, raw)
    expect(asked).toEqual([`/v${newestVersion}/info`])
  })

  test.each([
    ['20.10.24', '1.41'],
    ['27.5.1', '1.47'],
    ['30.0.0', newestVersion],
    ['4.9.4', newestVersion],
  ])('is first derived from the recorded release %s', async (release, expected) => {
    const { engine, asked } = await serve(speaking('1.12', expected), release)
    await engine.json(info, raw)
    expect(asked).toEqual([`/v${expected}/info`])
  })

  test('is negotiated again if the engine has been upgraded since', async () => {
    const { engine, asked } = await serve(speaking('1.44', '1.60'), '20.10.24')
    await engine.json(info, raw)
    expect([asked[0], asked.at(-1)]).toEqual(['/v1.41/info', `/v${newestVersion}/info`])
  })

  test('is negotiated once with an older engine', async () => {
    const { engine, asked } = await serve(speaking('1.12', '1.41'))
    await engine.json(info, raw)
    await engine.json(info, raw)
    expect(asked).toEqual([`/v${newestVersion}/info`, '/v1.41/info', '/v1.41/info'])
  })

  test('is negotiated correctly by concurrent requests', async () => {
    const { engine } = await serve(speaking('1.12', '1.41'))
    const answers = await Promise.all(Array.from({ length: 20 }, () => engine.json(info, raw)))
    expect(answers).toEqual(Array.from({ length: 20 }, () => ({ url: '/v1.41/info' })))
  })

  test('is requested if refusals do not show it', async () => {
    const { engine } = await serve(speaking('1.12', '1.36', ''))
    expect(await engine.json(info, raw)).toEqual({ url: '/v1.36/info' })
  })

  test('that is too old for fleet is reported', async () => {
    const { engine } = await serve(speaking('1.12', '1.30'))
    await expect(engine.json(info, raw)).rejects.toMatchObject({
      kind: 'unsupported',
      machine: 'old',
      message: expect.stringContaining('the engine supports API 1.30'),
    })
  })

  test('that is too new for fleet is reported', async () => {
    const { engine } = await serve(speaking('1.60', '1.70'))
    await expect(engine.json(info, raw)).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('the engine requires API 1.60 or later'),
    })
  })
})

describe('a response that does not come from an engine', () => {
  test('is reported with its text if it is a page', async () => {
    const { engine } = await serve((_, response) => response.end('<html>hello</html>'))
    await expect(engine.json(info, raw)).rejects.toMatchObject({
      kind: 'failed',
      message:
        'cannot read the response from the engine: the response body is not JSON: <html>hello</html>',
    })
  })

  test('is reported with its status if it has no body', async () => {
    const { engine } = await serve((_, response) => response.writeHead(502).end())
    await expect(engine.json(info, raw)).rejects.toMatchObject({
      kind: 'failed',
      message: 'HTTP 502 Bad Gateway',
    })
  })

  test('is reported as unreachable if it is not HTTP', async () => {
    const { engine } = await serve((_, response) => response.socket?.end('SSH-2.0-x\r\n'))
    await expect(engine.json(info, raw)).rejects.toMatchObject({
      kind: 'unreachable',
      machine: 'old',
    })
  })
})

test('does not repeat a request that changes something', async () => {
  const { engine, asked } = await serve(({ method }, response) => {
    if (method === 'POST') response.socket?.destroy()
    else response.end('{}')
  })
  await engine.json(info, raw)
  const start = engine.json({ method: 'POST', path: '/containers/a/start' }, raw)
  await expect(start).rejects.toMatchObject({ kind: 'unreachable' })
  expect(asked.filter((url) => url.endsWith('/start'))).toHaveLength(1)
})

test('encodes queries, with objects as JSON', async () => {
  const { engine } = await serve(speaking('1.12', '1.60'))
  const query = { all: true, limit: 2, size: undefined, filters: { label: ['a=b c'] } }
  const { url } = await engine.json({ path: '/containers/json', query }, raw)
  expect(Object.fromEntries(new URL(url, 'http://docker').searchParams)).toEqual({
    all: 'true',
    limit: '2',
    filters: '{"label":["a=b c"]}',
  })
})

test('replaces idle connections that the engine closed, for requests that change nothing', async () => {
  const used = new WeakSet<object>()
  const { engine } = await serve(({ socket, url }, response) => {
    if (used.has(socket)) socket.destroy()
    else response.end(JSON.stringify({ url }))
    used.add(socket)
  })
  const ask = () => Promise.all(Array.from({ length: 5 }, () => engine.json(info, raw)))
  await ask()
  expect(await ask()).toHaveLength(5)
})
