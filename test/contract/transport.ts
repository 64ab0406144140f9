import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { callbackify } from 'node:util'
import { array, assert, asyncProperty, constantFrom, oneof, string } from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { exitCodeOf } from '../../src/transport/command.ts'
import { run } from '../../src/transport/run.ts'
import type { RunningCommand, Transport } from '../../src/transport/transport.ts'

/** Waits until the output of `stream` matches `pattern`, and resolves to all of the output so far. */
function shown(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  let seen = ''
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
      if (pattern.test(seen)) resolve(seen)
    })
    stream.on('end', () => reject(new Error(`${pattern} is not in ${JSON.stringify(seen)}`)))
  })
}

const refuses = { code: 'REFUSED' }

/** Returns the command of a Perl server on the Unix socket `path`; `body` handles the connection `$c`. */
const serve = (path: string, body: string) => [
  'perl',
  '-MIO::Socket::UNIX',
  '-e',
  `$s = IO::Socket::UNIX->new(Local => shift, Listen => 64) or die; $| = 1; print "up\\n";
   while ($c = $s->accept) { if (fork) { close $c; next } ${body}; exit }`,
  path,
]
const http = String.raw`while (<$c>) { print $c "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" if /^\r$/; $c->flush }`
const countAfterEnd = 'local $/; $all = <$c>; print $c length $all'

/** Returns a command that sends 300 kB to a port or Unix socket of the host, half-closes, and prints the answer. */
const askFor = (address: string) => [
  'perl',
  '-MIO::Socket::UNIX',
  '-MIO::Socket::INET',
  '-e',
  `my $a = shift; $s = $a =~ /^\\d+$/ ? IO::Socket::INET->new("127.0.0.1:$a") : IO::Socket::UNIX->new($a); $s or exit 7;
   if (!fork) { print $s "x" x 300000; $s->flush; shutdown $s, 1; exit } print while <$s>`,
  address,
]

async function end(command: RunningCommand): Promise<void> {
  command.kill('TERM')
  await command.exit
}

/** Returns a shell line that reports the signal `name` and exits with code 9 when it receives it. */
const lineFor = (name: string): string =>
  `trap 'echo got it; exit 9' ${name}; echo ready; while :; do sleep 0.02; done`

/** Tests that every transport must pass. `open` connects to a Linux host with a POSIX login shell. */
export function transportContract(
  name: string,
  open: () => Promise<{ readonly transport: Transport } & AsyncDisposable>,
): void {
  describe(`${name} as a transport`, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let transport: Transport
    let folder: string

    beforeAll(async () => {
      opened = await open()
      ;({ transport } = opened)
      folder = (await run(transport, ['mktemp', '-d'])).stdout.trim()
    })
    afterAll(async () => {
      await run(transport, ['rm', '-r', folder])
      await opened[Symbol.asyncDispose]()
    })

    async function serving(path: string, body: string): Promise<RunningCommand> {
      const server = await transport.exec(serve(path, body))
      await shown(server.stdout, /up/)
      return server
    }

    test.each([0, 3, 137, 255])('returns exit code %i', async (code) => {
      expect(await run(transport, ['sh', '-c', `exit ${code}`])).toMatchObject({ code })
    })

    test('reports the signal that killed a command', async () => {
      const { exit } = await transport.exec({ shell: 'kill -KILL $$' })
      expect(exitCodeOf(await exit)).toBe(137)
    })

    test('reports a missing program with exit code 127, like a shell', async () => {
      expect(await run(transport, ['no-such-program'])).toMatchObject({ code: 127 })
    })

    test('keeps standard output and standard error apart', async () => {
      const { stdout, stderr } = await run(transport, { shell: 'echo out; echo err >&2' })
      expect({ stdout, stderr }).toEqual({ stdout: 'out\n', stderr: 'err\n' })
    })

    test('loses nothing that is written just before the exit', async () => {
      const line = 'head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2; exit 5'
      const { code, stdout, stderr } = await run(transport, { shell: line })
      expect([code, stdout.length, stderr.length]).toEqual([5, 200_000, 200_000])
    })

    test('transfers 10 MB of binary data in both directions', async () => {
      const sent = randomBytes(10_000_000)
      const cat = await transport.exec(['cat'])
      cat.stdin.end(sent)
      const received = await buffer(cat.stdout)
      expect(received.equals(sent)).toBe(true)
      expect(await cat.exit).toEqual({ code: 0 })
    })

    test('reports the exit code of a command that does not read its input', async () => {
      const input = 'x'.repeat(5_000_000)
      expect(await run(transport, ['sh', '-c', 'exit 6'], { input })).toMatchObject({ code: 6 })
    })

    test('reports the exit code after the reader has closed the output', async () => {
      const command = await transport.exec({ shell: 'head -c 5000000 /dev/zero; exit 4' })
      await once(command.stdout, 'data')
      command.stdout.destroy()
      expect(await command.exit).toEqual({ code: 4 })
    })

    test('passes arguments to the program unchanged', async () => {
      const hostile = oneof(
        string({ unit: 'grapheme' }),
        constantFrom(
          '',
          ' ',
          "'",
          '"',
          '\n',
          '$(id)',
          '`id`',
          '\\',
          '*',
          '~',
          '-n',
          '!x',
          '\t',
          'é 中',
        ),
      )
      const words = array(
        hostile.map((word) => word.replaceAll('\0', '')),
        { maxLength: 5 },
      )
      await assert(
        asyncProperty(words, async (expected) => {
          const { stdout } = await run(transport, [
            'printf',
            String.raw`%s\0`,
            'first',
            ...expected,
          ])
          expect(stdout.split('\0').slice(1, -1)).toEqual(expected)
        }),
        { numRuns: 40 },
      )
    })

    test('runs 30 commands concurrently', async () => {
      const numbers = Array.from({ length: 30 }, (_, index) => index)
      const results = await Promise.all(
        numbers.map((number) => run(transport, ['sh', '-c', `sleep 0.05; echo ${number}`])),
      )
      expect(results.map(({ stdout }) => stdout.trim())).toEqual(numbers.map(String))
    })

    test('terminates the command when it is aborted', async () => {
      const controller = new AbortController()
      const { signal } = controller
      const command = await transport.exec({ shell: 'echo $$; exec sleep 1000' }, { signal })
      const pid = (await shown(command.stdout, /\d+\n/)).trim()
      controller.abort(new Error('enough'))
      await expect(command.exit).rejects.toThrow('enough')
      await vi.waitFor(async () => {
        expect(await run(transport, ['kill', '-0', pid])).toMatchObject({ code: 1 })
      }, 120_000)
    })

    test('starts nothing if the signal is already aborted', async () => {
      const signal = AbortSignal.abort(new Error('too late'))
      await expect(transport.exec(['touch', `${folder}/trace`], { signal })).rejects.toThrow(
        'too late',
      )
      expect(await run(transport, ['test', '-e', `${folder}/trace`])).toMatchObject({ code: 1 })
    })

    test('delivers signals, even after the end of input', async () => {
      for (const [name, words] of [
        ['INT', ['sh', '-c', lineFor('INT')]],
        // If bash is the account's login shell, it may attribute a SIGINT to its child process, and continue.
        ['TERM', { shell: lineFor('TERM') }],
      ] as const) {
        const command = await transport.exec(words)
        command.stdin.end()
        await shown(command.stdout, /ready/)
        const answer = shown(command.stdout, /got it/)
        command.kill(name)
        await answer
        expect(await command.exit).toEqual({ code: 9 })
      }
    })

    test('allocates a terminal of the given size, and resizes it', async () => {
      const line =
        "trap 'stty size; exit 4' WINCH; echo $TERM; stty size; while :; do sleep 0.02; done"
      const terminal = { rows: 33, columns: 99, type: 'vt220' }
      const command = await transport.exec(['sh', '-c', line], { terminal })
      expect(await shown(command.stdout, /33 99/)).toBe('vt220\r\n33 99\r\n')
      const after = shown(command.stdout, /11 22/)
      command.resize({ rows: 11, columns: 22 })
      await after
      expect(await command.exit).toEqual({ code: 4 })
    })

    test('sends HTTP over a Unix socket, with several requests on one connection', async () => {
      const server = await serving(`${folder}/http`, http)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      let dialed = 0
      const dial = callbackify(() => transport.dial({ path: `${folder}/http` }))
      agent.createConnection = (_options, done) => {
        dialed += 1
        dial((error, socket) => done?.(error, socket))
        return undefined
      }
      const ask = () =>
        new Promise<string>((resolve, reject) => {
          get({ agent, host: 'host' }, (answer) => resolve(text(answer))).on('error', reject)
        })
      expect([await ask(), await ask(), await ask()]).toEqual(['hello', 'hello', 'hello'])
      expect(dialed).toBe(1)
      agent.destroy()
      await end(server)
    })

    test('continues to read after it has half-closed a connection', async () => {
      const server = await serving(`${folder}/count`, countAfterEnd)
      const socket = await transport.dial({ path: `${folder}/count` })
      socket.end(randomBytes(3_000_000))
      expect(await text(socket)).toBe('3000000')
      await end(server)
    })

    test('closes a connection when its peer has closed it', async () => {
      const server = await serving(`${folder}/short`, 'print $c "bye"')
      const socket = await transport.dial({ path: `${folder}/short` })
      const closed = once(socket, 'close')
      expect(await text(socket)).toBe('bye')
      await closed
      await end(server)
    })

    test('opens 40 connections concurrently', async () => {
      const server = await serving(`${folder}/many`, http)
      const dial = () => transport.dial({ path: `${folder}/many` })
      const sockets = await Promise.all(Array.from({ length: 40 }, dial))
      for (const socket of sockets) socket.write('GET / HTTP/1.1\r\n\r\n')
      const answers = await Promise.all(sockets.map((socket) => shown(socket, /hello/)))
      expect(answers).toHaveLength(40)
      for (const socket of sockets) socket.destroy()
      await end(server)
    })

    test.each(['a port', 'a Unix socket'])(
      'listens on %s of the host, until the listener is disposed of',
      async (kind) => {
        const socket =
          kind === 'a port' ? { host: 'localhost', port: 0 } : { path: `${folder}/listen` }
        const listener = await transport.listen(socket, (connection) => {
          connection.allowHalfOpen = true
          connection.pipe(connection)
        })
        const address = 'path' in socket ? socket.path : String(listener.port)
        const asking = Array.from({ length: 3 }, () => run(transport, askFor(address)))
        const answers = (await Promise.all(asking)).map(({ stdout }) => stdout.length)
        expect(answers).toEqual([300_000, 300_000, 300_000])
        const taken = 'path' in socket ? socket : { host: 'localhost', port: listener.port ?? 0 }
        await expect(transport.listen(taken, () => {})).rejects.toMatchObject(refuses)
        await listener[Symbol.asyncDispose]()
        expect((await run(transport, askFor(address))).code).not.toBe(0)
      },
    )

    test('distinguishes a refused socket from a lost host', async () => {
      await expect(transport.dial({ path: `${folder}/nothing` })).rejects.toMatchObject(refuses)
      await expect(transport.dial({ host: '127.0.0.1', port: 1 })).rejects.toMatchObject(refuses)
      expect(await run(transport, ['true'])).toMatchObject({ code: 0 })
    })
  })
}
