import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseForward } from '../../../src/operations/forward/forward-spec.ts'
import { type Forwards, openForwards } from '../../../src/operations/forward/open-forwards.ts'
import { run } from '../../../src/transport/run.ts'
import { connectOpenSsh } from '../../../src/transport/openssh/connect.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { noDirect, startTestBroker } from '../../support/crash/test-broker.ts'
import { findFreePort } from '../../support/free-port.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { startAgent } from '../../support/ssh/ssh-agent.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

/**
 * Starts a server that answers each connection with the number of bytes that it received before the client half-closed.
 */
async function serveSizes() {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    let size = 0
    client.on('error', () => {})
    client.on('data', (chunk: Buffer) => (size += chunk.length))
    client.on('end', () => client.end(String(size)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => void server.close(),
  }
}

async function ask(socket: Socket, ...parts: readonly (Buffer | string)[]): Promise<string> {
  for (const part of parts) socket.write(part)
  socket.end()
  return await text(socket)
}

/**
 * Command of a server on port 7000 of the host that answers with the number of bytes that it received before
 * end-of-file.
 */
const sizesOnHost = [
  'perl',
  '-MIO::Socket::INET',
  '-e',
  `$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 7000, Listen => 9, ReuseAddr => 1) or die; $| = 1; print "up\\n";
   while ($c = $s->accept) { if (fork) { close $c; next } local $/; print $c length <$c>; exit }`,
]

/** Returns a command that sends "hello" to a port on the host itself, and prints the answer. */
const askOnHost = (port: number | undefined) => [
  'perl',
  '-MIO::Socket::INET',
  '-e',
  `$s = IO::Socket::INET->new("127.0.0.1:${port}") or exit 7; print $s "hello"; $s->flush; shutdown $s, 1; print while <$s>`,
]

describe.skipIf(!labIsHere).each(['SSH', 'OpenSSH', 'the broker'])('forwarding over %s', (kind) => {
  let lab: Lab
  let host: LabHost
  let folder: string
  let agent: Awaited<ReturnType<typeof startAgent>>
  let transport: Transport
  const opened: AsyncDisposable[] = []

  beforeAll(async () => {
    lab = await startLab({ hosts: 1 })
    host = hostOf(lab)
    folder = await mkdtemp(join(tmpdir(), 'forward-'))
    agent = await startAgent(folder)
    await agent.add(lab.identity.file)
    const env = { SSH_AUTH_SOCK: agent.socket }
    const target = targetOf(lab, host)
    if (kind === 'SSH') transport = await connectSsh(target, { env })
    else if (kind === 'OpenSSH') transport = await connectOpenSsh(target, { env })
    else {
      const keeper = await startTestBroker()
      opened.push(keeper)
      transport = await keeper.client.connect({ ...target, via: undefined }, { env }, noDirect)
    }
    opened.unshift(transport)
    const serving = await transport.exec(sizesOnHost)
    await once(serving.stdout, 'data')
  })
  afterAll(async () => {
    for (const one of opened) await one[Symbol.asyncDispose]()
    agent[Symbol.dispose]()
    await lab[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  async function forwarding(forwards: Partial<Forwards>) {
    const lines: string[] = []
    const all = { local: [], remote: [], ...forwards }
    const open = await openForwards(transport, 'h1', all, (line) => lines.push(line))
    return { lines, [Symbol.asyncDispose]: () => open[Symbol.asyncDispose]() }
  }

  test('forwards a local port and a local socket to the host', async () => {
    const port = await findFreePort()
    const socket = join(folder, 'local.sock')
    const local = [
      parseForward('-L', `${port}:localhost:7000`),
      parseForward('-L', `${socket}:127.0.0.1:7000`),
    ]
    {
      await using open = await forwarding({ local })
      const large = Buffer.alloc(2_000_000)
      const answers = [connect(port, '127.0.0.1'), connect(port, '::1'), connect(socket)].map(
        (client) => ask(client, large),
      )
      expect(await Promise.all(answers)).toEqual(['2000000', '2000000', '2000000'])
      expect(open.lines).toEqual([])
    }
    const closed = connect(port, '127.0.0.1')
    const [error] = (await once(closed, 'error')) as [Error]
    expect(error.message).toContain('ECONNREFUSED')
  })

  test('closes and reports a connection that the host refuses', async () => {
    const port = await findFreePort()
    const local = [parseForward('-L', `${port}:localhost:1`)]
    await using open = await forwarding({ local })
    expect(await ask(connect(port, '127.0.0.1'), 'hello')).toBe('')
    expect(open.lines).toEqual([expect.stringMatching(/^h1: cannot connect to localhost:1: /)])
  })

  test('connects to the address that a SOCKS 4a or 5 client requests', async () => {
    const port = await findFreePort()
    await using open = await forwarding({ local: [parseForward('-D', String(port))] })
    const seven = Buffer.from([7000 >> 8, 7000 & 255])
    const version4 = Buffer.concat([
      Buffer.from([4, 1]),
      seven,
      Buffer.from([0, 0, 0, 1]),
      Buffer.from('me\0localhost\0'),
    ])
    const four = await ask(connect(port, '127.0.0.1'), version4, 'hello')
    expect(Buffer.from(four, 'latin1').subarray(-1).toString()).toBe('5')
    const head = Buffer.from([5, 1, 0, 5, 1, 0])
    const named = Buffer.concat([head, Buffer.from([3, 9]), Buffer.from('localhost'), seven])
    expect((await ask(connect(port, '127.0.0.1'), named, 'hello')).endsWith('5')).toBe(true)
    const numbered = Buffer.concat([head, Buffer.from([1, 127, 0, 0, 1]), seven])
    expect((await ask(connect(port, '127.0.0.1'), numbered, 'hello')).endsWith('5')).toBe(true)
    expect(open.lines).toEqual([])

    const closed = Buffer.concat([head, Buffer.from([1, 127, 0, 0, 1, 0, 1])])
    expect((await ask(connect(port, '127.0.0.1'), closed)).charCodeAt(3)).toBe(5)
    for (const wrong of ['GET / HTTP/1.1\r\n\r\n', Buffer.from([5, 1, 2]), Buffer.from([5])])
      await ask(connect(port, '127.0.0.1'), wrong)
    expect(open.lines).toHaveLength(4)
  })

  test('forwards a port of the host to this computer', async () => {
    using server = await serveSizes()
    const remote = [parseForward('-R', `0:127.0.0.1:${server.port}`), parseForward('-R', '7001')]
    {
      await using open = await forwarding({ remote })
      const [line = ''] = open.lines
      const port = Number(/port (\d+) is forwarded/.exec(line)?.[1])
      const answers = [1, 2, 3].map(() => run(transport, askOnHost(port)))
      expect((await Promise.all(answers)).map(({ stdout }) => stdout)).toEqual(['5', '5', '5'])
      await expect(forwarding({ remote: [parseForward('-R', `${port}:x:1`)] })).rejects.toThrow(
        `h1 cannot listen on localhost:${port}: `,
      )
    }
    expect((await run(transport, askOnHost(7001))).code).toBe(7)
  })

  test('closes the opened listeners again if one fails', async () => {
    const [free, taken] = [await findFreePort(), await findFreePort()]
    const blocker = createServer().listen(taken, '127.0.0.1')
    await once(blocker, 'listening')
    const local = [free, taken].map((port) => parseForward('-L', `${port}:localhost:7000`))
    await expect(forwarding({ local })).rejects.toThrow(`cannot listen on localhost:${taken}`)
    blocker.close()
    const again = createServer().listen(free, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  })

  test('lets only commands with agent forwarding use the agent, and only while they run', async () => {
    const list = async (forwardAgent: boolean) => {
      const command = await transport.exec(['ssh-add', '-l'], { forwardAgent })
      return await text(command.stdout)
    }
    expect(await list(false)).toBe('')
    expect(await list(true)).toContain('ED25519')
    const stays = await transport.exec(
      { shell: 'echo $SSH_AUTH_SOCK; cat' },
      { forwardAgent: true },
    )
    const [line] = (await once(stays.stdout, 'data')) as [Buffer]
    const socket = line.toString().trim()
    const through = () => run(transport, ['env', `SSH_AUTH_SOCK=${socket}`, 'ssh-add', '-l'])
    expect((await through()).stdout).toContain('ED25519')
    stays.stdin.end()
    await stays.exit
    expect((await through()).stdout).toBe('')
  })
})

test.skipIf(!labIsHere)('a missing agent cannot be forwarded', async () => {
  await using lab = await startLab({ hosts: 1 })
  await using transport = await connectSsh(targetOf(lab, hostOf(lab)), { env: {} })
  await expect(transport.exec(['true'], { forwardAgent: true })).rejects.toMatchObject({
    kind: 'credentials',
    machine: 'h1',
  })
  expect(await run(transport, ['true'])).toMatchObject({ code: 0 })
})
