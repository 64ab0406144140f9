import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { type Socket, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findFreePort } from '../../support/free-port.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { spawn } from 'node:child_process'

/** Perl server: port 7000 returns the SHA-256 of its input; 7001 sends "hello", then stores the input's size. */
const server = `use IO::Socket::INET; use Digest::SHA; $SIG{CHLD} = 'IGNORE';
sub serve { my ($port, $do) = @_; return if fork;
  my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 200, ReuseAddr => 1) or die;
  while (1) { my $c = $s->accept or next; if (fork) { close $c; next } $do->($c); exit } }
serve(7000, sub { my $d = Digest::SHA->new(256); $d->addfile($_[0]); print {$_[0]} $d->hexdigest; });
serve(7001, sub { my $c = shift; syswrite $c, "hello"; shutdown $c, 1; local $/; my $in = <$c>;
  open F, ">/root/received"; print F length $in; close F; rename "/root/received", "/root/size" });
sleep 1 while 1`

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

const open = (port: number): Socket => connect({ port, host: '127.0.0.1', allowHalfOpen: true })

/** Sends `data`, half-closes the connection, and resolves to the answer. */
async function exchange(client: Socket, data: Buffer | string): Promise<string> {
  client.end(data)
  return await text(client)
}

/** Calls `look` repeatedly until it resolves to a value. */
async function until<Value>(look: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(50)
  }
}

interface Row {
  readonly local: string
  readonly machine: string
  readonly container?: string
  readonly connections: number
  readonly error?: { readonly message: string }
}

describe.skipIf(!labIsHere)('containers on any machine, and forwarded ports', () => {
  let lab: Lab
  let ana: TestUser
  let h1: LabHost
  const serving: ReturnType<LabHost['spawn']>[] = []

  /** Resolves to the output of a command that must succeed. */
  const fleet = async (...args: string[]): Promise<string> => {
    const answer = await ana.fleet(args)
    expect({ args, ...answer }).toMatchObject({ code: 0 })
    return answer.stdout
  }
  const forwards = async (): Promise<Row[]> =>
    JSON.parse(await fleet('forward', 'ls', '--json')) as Row[]
  const brokerPid = async (): Promise<number> =>
    (JSON.parse(await fleet('broker', 'status', '--json')) as { pid: number }).pid

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const [first, second] = lab.hosts
    if (first === undefined || second === undefined) throw new Error('no hosts')
    h1 = first
    for (const { name, address } of lab.hosts)
      await fleet('adopt', `root@${address}`, '--name', name, '--accept-new')
    const echo = 'bb:1 nc -ll -p 5432 -e cat'
    await first.exec(`docker run -d --name db -l com.docker.compose.service=data ${echo}`)
    await first.exec(`docker run -d --name web -p 5480:5432 ${echo}`)
    await second.exec(`docker run -d --name shop-web-1 -l com.docker.compose.service=web ${echo}`)
    await second.exec('docker create --name db bb:1 true')
    serving.push(first.spawn(['perl', '-e', server]))
  }, 120_000)
  afterAll(async () => {
    for (const child of serving) child.kill('SIGKILL')
    await ana?.fleet(['forward', 'stop', '--all'])
    await ana?.fleet(['broker', 'stop'])
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test('containers are found by name, service and ID on any machine', async () => {
    expect(await fleet('where', '-q', 'web')).toBe('h1/web\nh2/shop-web-1\n')
    const id = (await h1.exec('docker inspect -f "{{.Id}}" db')).stdout.trim()
    expect(await fleet('where', '-q', id.slice(0, 8))).toBe('h1/db\n')
    const none = await ana.fleet(['where', 'dat'])
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('did you mean "data"?') })

    expect(await fleet('exec', '--find', 'data', 'echo', 'found')).toBe('found\n')
    // Only one of the two containers named db is running.
    expect(await fleet('exec', '--find', 'db', 'echo', 'running')).toBe('running\n')
    const several = await ana.fleet(['exec', '--find', 'web', 'true'])
    expect(several.code).toBe(2)
    expect(several.stderr).toMatch(/h1\/web \(running\)\n +h2\/shop-web-1 \(running\)/)
    expect((await ana.fleet(['exec', '--find', 'wbe', 'true'])).code).toBe(1)
    const screen = await ana.fleetOnTerminal(
      ['exec', '--find', '-it', 'data', 'sh'],
      [{ at: '# ', type: 'test -t 0 && echo is-"a"-tty; exit 7\r' }],
    )
    expect(screen).toMatchObject({
      code: 7,
      screen: expect.stringMatching(/found h1\/db[^]*is-a-tty/),
    })
    await h1.exec('docker exec db sh -c "echo logged > /proc/1/fd/1"')
    expect(await fleet('logs', '--find', 'data')).toBe('logged\n')
  })

  test('a forwarded port of the host allows many connections, which can be half-closed on both sides', async () => {
    const port = await findFreePort()
    const [line = ''] = (await fleet('forward', 'h1', `${port}:7000`)).split('\n')
    expect(line).toBe(`127.0.0.1:${port}\th1\t\t7000`)
    // Repeating the command changes nothing; another target is refused.
    await fleet('forward', 'h1', `${port}:7000`)
    const taken = await ana.fleet(['forward', 'h1', `${port}:7001`])
    expect(taken).toMatchObject({ code: 1 })
    expect(taken.stderr).toContain(`127.0.0.1:${port} is already forwarded to h1 port 7000`)

    const chunks = Array.from({ length: 100 }, () => randomBytes(10_000))
    const clients = chunks.map(() => open(port))
    await Promise.all(clients.map((client) => once(client, 'connect')))
    const answers = clients.map((client, index) => exchange(client, chunks[index] ?? ''))
    expect(await Promise.all(answers)).toEqual(chunks.map(digest))

    const other = await findFreePort()
    await fleet('forward', 'h1', `${other}:7001`)
    const client = open(other)
    const greeting: Buffer[] = []
    client.on('data', (chunk: Buffer) => greeting.push(chunk))
    await once(client, 'end') // the other side is closed; this one remains open
    expect(Buffer.concat(greeting).toString()).toBe('hello')
    client.end(Buffer.alloc(300_000))
    const size = await until(async () => {
      const { stdout } = await h1.exec('cat /root/size 2>/dev/null')
      return stdout === '' ? undefined : stdout
    })
    expect(size).toBe('300000')
  })

  test('1 GB is transferred completely', async () => {
    const port = Number((await forwards()).find(({ local }) => local)?.local.split(':')[1])
    const block = randomBytes(1 << 20)
    const hash = createHash('sha256')
    const client = open(port)
    const answer = text(client)
    for (let sent = 0; sent < 1_000; sent += 1) {
      block.writeUInt32BE(sent)
      const part = Buffer.from(block)
      hash.update(part)
      if (!client.write(part)) await once(client, 'drain')
    }
    client.end()
    expect(await answer).toBe(hash.digest('hex'))
  })

  test('an unpublished port of a container is forwarded, even after a restart with another address', async () => {
    const port = await findFreePort()
    await fleet('forward', 'h1', `${port}:data:5432`)
    expect(await exchange(open(port), 'one')).toBe('one')
    const address = async () =>
      (await h1.exec("docker inspect -f '{{.NetworkSettings.IPAddress}}' db")).stdout.trim()
    const before = await address()
    await h1.exec('docker stop -t 0 db')
    const failed = open(port)
    const [error] = (await once(failed, 'error')) as [Error]
    expect(error.message).toContain('ECONNRESET')
    const row = (await forwards()).find(({ container }) => container === 'data')
    expect(row?.error?.message).toMatch(/No such container: data|not running/)
    await h1.exec('docker run -d --name squatter bb:1 sleep 600')
    await h1.exec('docker start db')
    expect(await address()).not.toBe(before)
    expect(await exchange(open(port), 'two')).toBe('two')
    expect((await forwards()).find(({ container }) => container === 'data')?.error).toBeUndefined()
  })

  test('published ports and sockets are forwarded until they are stopped', async () => {
    const blocker = createServer().listen(5480, '127.0.0.1')
    await once(blocker, 'listening')
    const line = await fleet('forward', 'h1', '--published')
    const [, port] = /^127\.0\.0\.1:(\d+)\th1\t\t5480\n$/.exec(line) ?? []
    blocker.close()
    expect(Number(port)).not.toBe(5480)
    expect(await exchange(open(Number(port)), 'published')).toBe('published')

    await fleet('forward', 'h1/db', '5432', '--socket', 'db.sock')
    const path = join(ana.folder, 'db.sock')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await exchange(connect(path), 'socket')).toBe('socket')

    const stopped = await ana.fleet(['forward', 'stop', path, String(port)])
    expect(stopped.stderr).toBe(
      `stopped forwarding ${path}\nstopped forwarding 127.0.0.1:${port}\n`,
    )
    const [error] = (await once(open(Number(port)), 'error')) as [Error]
    expect(error.message).toContain('ECONNREFUSED')
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })

  test('forwards are restored after the broker was killed or stopped', async () => {
    const before = (await forwards()).map(({ local }) => local)
    const port = Number(before[0]?.split(':')[1])
    const pid = await brokerPid()
    process.kill(pid, 'SIGKILL')
    await until(async () => {
      const client = open(port)
      const refused = await once(client, 'connect').then(
        () => undefined,
        () => true as const,
      )
      client.destroy()
      return refused
    })
    expect((await forwards()).map(({ local }) => local)).toEqual(before)
    expect(await exchange(open(port), 'back')).toBe(digest(Buffer.from('back')))
    const stopped = await ana.fleet(['broker', 'stop'])
    expect(stopped.stderr).toContain(`127.0.0.1:${port}`)
    await fleet('ps', '-m', 'h1')
    expect(await exchange(open(port), 'again')).toBe(digest(Buffer.from('again')))
  })

  test("forwards reconnect after the host's SSH server was killed", async () => {
    const port = Number((await forwards())[0]?.local.split(':')[1])
    await h1.killSshd()
    const client = open(port)
    await once(client, 'error')
    expect((await forwards())[0]?.error?.message).toMatch(/refused|lost|reset|unreachable/i)
    await h1.startSshd()
    const answer = await until(async () => {
      const got = await exchange(open(port), 'x').catch(() => '')
      return got === '' ? undefined : got
    })
    expect(answer).toBe(digest(Buffer.from('x')))
  })

  test('without the broker, ports are forwarded until Ctrl-C', async () => {
    const port = await findFreePort()
    const env = { ...ana.env, FLEET_BROKER: 'off' }
    const child = spawn(program, ['forward', 'h1', `${port}:db:5432`], { env, cwd: ana.folder })
    const output = buffer(child.stdout)
    await once(child.stderr, 'data')
    expect(await exchange(open(port), 'own')).toBe('own')
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number]
    expect([code, (await output).toString()]).toEqual([130, `127.0.0.1:${port}\th1\tdb\t5432\n`])
  })

  test('completion offers what the broker has seen, without connecting', async () => {
    const complete = async (...words: string[]) =>
      (await fleet('__complete', ...words)).split('\n').map((line) => line.split('\t')[0])
    // On a busy computer, a name may arrive too late for one Tab press; it is then offered at the next one.
    const offers = (...words: string[]) => expect.poll(() => complete(...words))
    await fleet('ps', '-m', 'h1')
    await fleet('images', '-m', 'h1')
    await fleet('where', 'db')
    await offers('-m', 'h1', 'exec', 'd').toContain('db')
    await offers('exec', '--find', 'sh').toContain('shop-web-1')
    await offers('where', 'sho').toContain('shop-web-1')
    await offers('-m', 'h1', 'run', 'b').toContain('bb:1')
    await offers('-m', 'h1', 'container', 'restart', 'we').toContain('web')
    await offers('-m', 'h1', 'docker', 'rmi', 'b').toContain('bb:1')
    await offers('forward', 'h1', 'web').toContain('web:5432')
    const port = (await forwards())[0]?.local.split(':')[1]
    await offers('forward', 'stop', '').toContain(port)
    // Names on an unreachable host are offered immediately, from memory.
    await h1.drop(true)
    await offers('-m', 'h1', 'exec', 'd').toContain('db')
    await h1.drop(false)
    await fleet('broker', 'stop')
    expect(await complete('-m', 'h1', 'exec', 'd')).toEqual([''])
  })

  test('an unreachable machine is reported, and does not prevent a match on others', async () => {
    const file = join(ana.folder, 'machines.yaml')
    const before = await readFile(file, 'utf8')
    const gone = '192.0.2.1'
    await writeFile(
      file,
      `${before}  gone:\n    driver: ssh\n    options: { address: ${gone} }\n    host: { phase: ready, address: ${gone}, user: root, hostKeys: [${h1.hostKey.split(' ').slice(0, 2).join(' ')}] }\n`,
    )
    const found = await ana.fleet(['exec', '--find', 'data', 'echo', 'found'])
    expect(found).toMatchObject({ code: 0, stdout: 'found\n' })
    expect(found.stderr).toMatch(/1 of 3 machines failed\n +gone: [^]*found h1\/db, the only match/)
    const none = await ana.fleet(['exec', '--find', 'nothing', 'true'])
    expect(none).toMatchObject({ code: 1 })
    expect(none.stderr).toMatch(/gone: [^]*on the 2 machines that responded/)
    await writeFile(file, before)
  })
})
