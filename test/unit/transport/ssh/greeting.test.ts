import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type Prompt, type Question, connectSsh } from '../../../../src/transport/ssh/connect.ts'
import type { Protocol } from '../../../../src/transport/ssh/ssh2-internals.ts'
import { wireString } from '../../../../src/transport/ssh/wire-format.ts'
import { run } from '../../../../src/transport/run.ts'
import { type LoopbackSshd, startLoopbackSshd } from '../../../support/ssh/loopback-sshd.ts'

const servers: Server[] = []
const sockets = new Set<Socket>()
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  for (const server of servers.splice(0)) server.close()
})

/** Starts a server on loopback that calls `onConnection` for each connection, and resolves to its port. */
async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const sshd = () =>
  startLoopbackSshd({
    login: (attempt) => attempt.accept(),
    exec: (_, channel) => {
      channel.write('hello\n')
      channel.exit(0)
      channel.end()
    },
    engine: () => {},
  })

const connectTo = (
  port: number,
  { hostKey = 'ssh-ed25519 AAAA', prompt }: { hostKey?: string; prompt?: Prompt } = {},
  connectTimeoutMs = 20_000,
) =>
  connectSsh(
    {
      ...{ machine: 'h1', address: '127.0.0.1', port, user: 'ana' },
      ...{ hostKeys: [hostKey], identityFiles: [], agent: {} },
    },
    { env: { HOME: '/nowhere' }, connectTimeoutMs, prompt },
  )

/** Number of bytes of the server's version that are sent one at a time. */
const slowBytes = 12

/** Serves a relay to an sshd that first sends `printed`, and sends the first bytes of the sshd one at a time. */
const inFrontOf = ({ port }: LoopbackSshd, printed: string) =>
  serve((socket) => {
    const behind = connect(port, '127.0.0.1')
    sockets.add(behind)
    socket.setNoDelay(true).write(printed)
    socket.pipe(behind)
    const passOn = async (first: Buffer) => {
      behind.pause()
      for (const byte of first.subarray(0, slowBytes)) {
        socket.write(Buffer.of(byte))
        await sleep(2)
      }
      socket.write(first.subarray(slowBytes))
      behind.pipe(socket)
    }
    behind.once('data', (first: Buffer) => void passOn(first))
  })

/** Writes endlessly, as fast as the other side reads. */
const flood = (chunk: string | Buffer) => (socket: Socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.on('drain', more)
  more()
}

describe('a server on the SSH port', () => {
  test.each([
    ['nothing', ''],
    ['lines', 'Welcome.\r\n\r\nThis is not SSH-2.0\n'],
    ['a thousand lines', `${'x'.repeat(200)}\r\n`.repeat(1_000)],
  ])('that prints %s before its version is accepted', async (_, printed) => {
    await using behind = await sshd()
    const port = await inFrontOf(behind, printed)
    await using transport = await connectTo(port, { hostKey: behind.hostKey })
    expect((await run(transport, { shell: 'x' })).stdout).toBe('hello\n')
  })

  test.each([
    ['endless lines', flood('HTTP/1.1 400 Bad Request\r\n'.repeat(100)), ': HTTP/1.1 400'],
    ['an endless line', flood('x'.repeat(10_000)), ': xxxx'],
    [
      'the first packet of a MySQL server',
      (socket: Socket) => void socket.write('J\0\0\0\n8.0.36\0'),
      ': J',
    ],
    [
      'endless short lines in small chunks',
      (socket: Socket) => {
        const timer = setInterval(() => socket.write('\r\n'.repeat(300)), 5)
        socket.on('close', () => clearInterval(timer))
      },
      '',
    ],
  ])('that prints %s is reported as not an SSH server', async (_, behave, words) => {
    const port = await serve(behave)
    await expect(connectTo(port)).rejects.toMatchObject({
      kind: 'unreachable',
      machine: 'h1',
      message: expect.stringContaining(
        `cannot reach h1 at 127.0.0.1:${port}: the service on this port is not an SSH server${words}`,
      ),
    })
  })

  test('that prints lines but no version is reported as sending no greeting', async () => {
    const port = await serve((socket) => socket.write('Please wait.\r\n'))
    await expect(connectTo(port, {}, 500)).rejects.toMatchObject({
      message: expect.stringContaining('sends no SSH greeting'),
    })
  })

  test('with version 1 of the protocol is reported', async () => {
    const port = await serve((socket) => socket.write('SSH-1.5-old\r\n'))
    await expect(connectTo(port)).rejects.toMatchObject({
      message: expect.stringContaining('does not support version 2 of the SSH protocol'),
    })
  })

  test('that sends endless text during the login is reported', async () => {
    const text = Buffer.from('y'.repeat(30_000))
    const banner = Buffer.concat([Buffer.of(53), wireString(text), wireString(Buffer.of())])
    let timer: NodeJS.Timeout | undefined
    await using endless = await startLoopbackSshd({
      login(attempt) {
        const { _protocol: protocol } = attempt as unknown as { _protocol: Protocol }
        const { _cipher: cipher } = protocol
        timer = setInterval(() => {
          for (let count = 0; count < 20; count += 1) {
            const packet = cipher.allocPacket(banner.length)
            packet.set(banner, 5)
            cipher.encrypt(packet)
          }
        }, 1)
      },
      exec: () => {},
      engine: () => {},
    })
    const connected = connectTo(endless.port, { hostKey: endless.hostKey })
    await expect(connected).rejects.toMatchObject({
      message: expect.stringContaining('sent too much text during login'),
    })
    clearInterval(timer)
  })

  test('can ask questions in several rounds, for hidden and visible answers', async () => {
    const rounds: { prompt: string; echo: boolean }[][] = [
      [{ prompt: 'Password: ', echo: false }],
      [
        { prompt: 'Site: ', echo: true },
        { prompt: 'Code: ', echo: false },
      ],
      [],
    ]
    const given: string[][] = []
    await using asking = await startLoopbackSshd({
      login(attempt) {
        if (attempt.method !== 'keyboard-interactive')
          return attempt.reject(['keyboard-interactive'])
        const ask = (round: number): void => {
          const questions = rounds[round]
          if (questions === undefined) return attempt.accept()
          attempt.prompt(questions, `Step ${round + 1}`, 'Read the card.', (answers) => {
            given.push(answers)
            ask(round + 1)
          })
        }
        ask(0)
      },
      exec: (_, channel) => {
        channel.exit(0)
        channel.end()
      },
      engine: () => {},
    })
    const asked: Question[] = []
    const prompt: Prompt = async (question) => {
      asked.push(question)
      return `answer ${asked.length}`
    }
    await using transport = await connectTo(asking.port, { hostKey: asking.hostKey, prompt })
    expect((await run(transport, { shell: 'x' })).code).toBe(0)
    expect(given).toEqual([['answer 1'], ['answer 2', 'answer 3'], []])
    const from = 'ana@127.0.0.1'
    expect(asked).toEqual([
      { text: 'Password: ', from, notes: ['Step 1', 'Read the card.'], secret: true },
      { text: 'Site: ', from, notes: ['Step 2', 'Read the card.'], secret: false },
      { text: 'Code: ', from, notes: [], secret: true },
    ])
  })
})
