import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'

/** Parses lines of JSON. */
const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>)

describe.skipIf(!labIsHere)('containers and images on many machines', () => {
  let lab: Lab
  let ana: TestUser

  /** Resolves to the output of a command that must succeed. */
  const fleet = async (...args: string[]): Promise<string> => {
    const answer = await ana.fleet(args)
    expect({ args, ...answer }).toMatchObject({ code: 0 })
    return answer.stdout
  }
  const json = async (...args: string[]): Promise<Record<string, unknown>[]> =>
    JSON.parse(await fleet(...args, '--json')) as Record<string, unknown>[]

  beforeAll(async () => {
    lab = await startLab({ hosts: 3, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file })
    for (const { name, address } of lab.hosts) {
      const role = name === 'h3' ? 'db' : 'web'
      await fleet('adopt', `root@${address}`, '--name', name, '--accept-new', '-l', `role=${role}`)
    }
  })

  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('run prefixes each line with the name of its machine', async () => {
    const stdout = await fleet('--on', 'role=web', 'run', '--rm', 'bb:1', 'hostname')
    expect(stdout.split('\n').sort()).toEqual([
      '',
      expect.stringMatching(/^h1 \| /),
      expect.stringMatching(/^h2 \| /),
    ])
    const after = await fleet('run', '--on', 'h3', '--rm', 'bb:1', 'echo', 'behind the verb')
    expect(after).toBe('h3 | behind the verb\n')
  })

  test('run passes an env file only to the container, even if it sets NODE_OPTIONS', async () => {
    const file = join(ana.folder, 'app.env')
    await writeFile(file, 'NODE_OPTIONS=--require=/nowhere.cjs\nGREETING=hello\n')
    const words = ['-m', 'h1', 'run', '--rm', '--env-file', file, 'bb:1', 'env']
    expect((await fleet(...words)).split('\n')).toEqual(
      expect.arrayContaining(['NODE_OPTIONS=--require=/nowhere.cjs', 'GREETING=hello']),
    )
    const missing = ['-m', 'h1', 'run', '--rm', '--env-file', `${file}.not`, 'bb:1', 'env']
    expect(await ana.fleet(missing)).toMatchObject({
      code: 125,
      stderr: expect.stringContaining(`${file}.not`),
    })
  })

  test('ps merges machines in the order of the inventory', async () => {
    await fleet('--all', 'run', '-d', '--name', 'web', 'bb:1', 'sleep', '600')
    const rows = await json('ps', '--all')
    expect(rows.map(({ machine, name, state }) => [machine, name, state])).toEqual([
      ['h1', 'web', 'running'],
      ['h2', 'web', 'running'],
      ['h3', 'web', 'running'],
    ])
    expect((await fleet('ps', '-m', 'h2')).split('\t')[1]).toBe('bb:1')
    await fleet('--all', 'container', 'stop', '-t', '0', 'web')
    expect(await json('ps', '--all')).toEqual([])
    expect(await json('ps', '--all', '-a', '-f', 'name=web', '-n', '5')).toHaveLength(3)
    expect(await json('ps', '-m', 'h2', '-l')).toMatchObject([{ name: 'web' }])
    const template = String.raw`{{.Names}}\t{{.Image}}`
    expect(await fleet('ps', '-m', 'h2', '-l', '--format', template)).toBe('web\tbb:1\n')
    await fleet('--all', 'container', 'start', 'web')
    await fleet('--all', 'container', 'restart', '-t', '0', 'web')
    expect(await json('container', 'ls', '--all')).toHaveLength(3)
    await fleet('--all', 'container', 'rm', '-f', 'web')
  })

  test('ps --format json prints a line for each container, as docker does', async () => {
    const options = ['--network', 'host', '-v', '/etc/a-folder-of-the-host:/a', '-v', 'data:/b']
    const ports = ['-p', '8080:80', '-p', '7000-7002:7000-7002', '--expose', '9/udp']
    const script = ['sh', '-c', 'echo "a command that is long"; sleep 600']
    await fleet(
      '-m',
      'h1',
      'run',
      '-d',
      '--name',
      'web',
      '-l',
      'a=b',
      ...options,
      'bb:1',
      ...script,
    )
    await fleet('-m', 'h1', 'container', 'create', '--name', 'ported', ...ports, 'bb:1', 'true')
    const id = (await fleet('-m', 'h1', 'docker', 'inspect', '-f', '{{.Image}}', 'web')).trim()
    await fleet('-m', 'h1', 'container', 'create', '--name', 'by-id', id, 'true')
    for (const words of [
      ['-a'],
      ['-a', '--no-trunc'],
      ['-a', '-s'],
      ['-n', '2'],
      ['-f', 'name=web'],
    ]) {
      const docker = lines(await fleet('-m', 'h1', 'docker', 'ps', '--format', 'json', ...words))
      const own = lines(await fleet('-m', 'h1', 'ps', '--format', 'json', ...words))
      const steady = (rows: typeof own) =>
        rows.map(({ CreatedAt = '', Mounts = '', RunningFor: _, Status: __, ...row }) => ({
          ...row,
          Mounts: Mounts.split(',').sort(), // the engine returns them in no particular order
          CreatedAt: Date.parse(CreatedAt.replace(/ [A-Z]+$/, '')),
        }))
      expect({ words, rows: steady(own) }).toEqual({ words, rows: steady(docker) })
    }
    const everywhere = lines(await fleet('ps', '--all', '--format', '{{json .}}'))
    expect(everywhere).toMatchObject([{ Names: 'web', Machine: 'h1' }])
    await fleet('-m', 'h1', 'container', 'rm', '-f', 'web', 'ported', 'by-id')
  })

  test('ps -q prints container IDs, with their machines if there are several', async () => {
    await fleet('--all', 'run', '-d', '--name', 'web', 'bb:1', 'sh', '-c', 'hostname; sleep 600')
    const [one] = (await fleet('ps', '-q', '-m', 'h1')).split('\n')
    expect(one).toMatch(/^[0-9a-f]{12}$/)
    expect(await fleet('ps', '-q', '--no-trunc', '-m', 'h1')).toMatch(/^[0-9a-f]{64}\n$/)
    const ids = (await fleet('ps', '-q', '--all')).trimEnd().split('\n')
    expect(ids).toEqual([
      `h1/${one}`,
      ...['h2', 'h3'].map((name) => expect.stringMatching(`^${name}/[0-9a-f]{12}$`)),
    ])
    const [first = '', second = ''] = ids
    expect(await fleet('exec', first, 'echo', 'a/b')).toBe('a/b\n')
    expect(await fleet('exec', '-e', 'A=1', 'h2/web', 'sh', '-c', 'echo $A')).toBe('1\n')
    expect(await fleet('logs', first)).toMatch(/^[0-9a-f]{12}\n$/)
    expect(
      (await fleet('logs', first, second))
        .split('\n')
        .map((line) => line.slice(0, 3))
        .sort(),
    ).toEqual(['', 'h1 ', 'h2 '])
    const inspected = JSON.parse(await fleet('container', 'inspect', ...ids)) as object[]
    expect(inspected).toMatchObject([{ machine: 'h1' }, { machine: 'h2' }, { machine: 'h3' }])
    expect(JSON.parse(await fleet('container', 'inspect', first))).toMatchObject([{ Name: '/web' }])
    expect(await json('stats', '--no-stream', first)).toMatchObject([{ name: 'web' }])
    await fleet('container', 'cp', `${first}:/etc/hostname`, join(ana.folder, 'name'))
    await fleet('container', 'stop', '-t', '0', first, second)
    expect(await fleet('container', 'rm', first)).toBe(`${one}\n`)
    expect(await json('ps', '-a', '--all')).toMatchObject([{ machine: 'h2' }, { machine: 'h3' }])
    for (const [words, code, says] of [
      [
        ['container', 'rm', '-f', second, 'web'],
        125,
        'includes a machine name, but "web" does not',
      ],
      [['-m', 'h1', 'container', 'rm', '-f', second], 125, 'already includes a machine name'],
      [['container', 'rm', '-f', 'h9/web'], 125, 'no machine called "h9"'],
      [['logs', 'h9/web'], 3, 'no machine called "h9"'],
    ] as const) {
      const answer = await ana.fleet(words)
      expect(answer).toMatchObject({ code, stderr: expect.stringContaining(says) })
    }
    await fleet('docker', 'rm', '-f', second, ids[2] ?? '')
  })

  test('ps --size prints the size of the writable layer', async () => {
    await fleet(
      'run',
      '-d',
      '--name',
      'fat',
      'bb:1',
      'sh',
      '-c',
      'head -c 1000000 /dev/zero >/fat; sleep 600',
    )
    await expect
      .poll(async () => (await json('ps', '-s'))[0]?.['size'])
      .toEqual({ writable: 1_000_000, virtual: expect.any(Number) })
    await fleet('container', 'rm', '-f', 'fat')
  })

  test('an unreachable machine does not suppress the output of the others, and the exit code is 1', async () => {
    const host = lab.hosts[2]
    await host?.kill()
    const { code, stdout, stderr } = await ana.fleet(['images', '--all', '--json'])
    const pulled = await ana.fleet(['--all', 'run', '--rm', 'bb:1', 'true'])
    await host?.start()
    expect(code).toBe(1)
    const rows = JSON.parse(stdout) as { machine: string }[]
    expect(rows.map(({ machine }) => machine)).toEqual(['h1', 'h2'])
    expect(JSON.parse(stderr)).toMatchObject({ machine: 'h3', error: { kind: 'unreachable' } })
    expect(pulled.code).toBe(1)
    expect(pulled.stderr).toMatch(/1 of 3 machines failed\n {2}h3: /)
  })

  test('a command that fails on some machines reports the machines and exit codes', async () => {
    await fleet('-m', 'h1', 'run', '-d', '--name', 'only-here', 'bb:1', 'sleep', '600')
    const { code, stdout, stderr } = await ana.fleet(['--all', 'exec', 'only-here', 'echo', 'yes'])
    expect(code).toBe(1)
    expect(stdout).toBe('h1 | yes\n')
    expect(stderr).toMatch(
      /2 of 3 machines failed\n {2}2 machines: docker exited with code 1: h2, h3/,
    )
    await fleet('container', 'rm', '-f', 'only-here')
  })

  test('logs merges several machines by time', async () => {
    const script = 'for i in 1 2 3; do echo line $i; sleep 0.4; done; echo trouble >&2'
    await fleet('--all', 'run', '-d', '--name', 'talker', 'bb:1', 'sh', '-c', script)
    await fleet('--all', 'container', 'wait', 'talker')
    const entries = (await fleet('logs', '--all', '--json', 'talker'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { machine: string; time: string; line: string })
    expect(entries).toHaveLength(12)
    const times = entries.map(({ time }) => time)
    expect(times).toEqual([...times].sort())
    expect(new Set(entries.map(({ machine }) => machine)).size).toBe(3)
    const one = await ana.fleet(['logs', 'talker'])
    expect(one).toMatchObject({ stdout: 'line 1\nline 2\nline 3\n', stderr: 'trouble\n' })
    expect(await fleet('logs', '-n', '1', '--all', 'talker')).toBe('')
    const unknown = await ana.fleet(['logs', 'nobody'])
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('nobody') })
    await fleet('--all', 'container', 'rm', 'talker')
  })

  test('logs -f follows all machines until the containers exit', async () => {
    await fleet(
      '--on',
      'role=web',
      'run',
      '-d',
      '--name',
      'slow',
      'bb:1',
      'sh',
      '-c',
      'echo a; sleep 2; echo b',
    )
    const stdout = await fleet('logs', '-f', '--on', 'role=web', 'slow')
    expect(stdout.trim().split('\n').sort()).toEqual([
      'h1 slow | a',
      'h1 slow | b',
      'h2 slow | a',
      'h2 slow | b',
    ])
    await fleet('--on', 'role=web', 'container', 'rm', 'slow')
  })

  test('events, stats, df, history and inspect name the machine', async () => {
    await fleet('--all', 'run', '-d', '--name', 'busy', 'bb:1', 'sleep', '600')
    const events = await fleet(
      'events',
      '--all',
      '--since',
      '1m',
      '--until',
      '0s',
      '-f',
      'event=start',
      '--json',
    )
    const started = events
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { machine: string })
    expect(new Set(started.map(({ machine }) => machine))).toEqual(new Set(['h1', 'h2', 'h3']))

    const stats = await json('stats', '--all', 'busy')
    expect(stats.map(({ machine, name, pids }) => [machine, name, pids])).toEqual([
      ['h1', 'busy', 1],
      ['h2', 'busy', 1],
      ['h3', 'busy', 1],
    ])
    const usage = await json('df', '--all')
    expect(usage.filter(({ kind }) => kind === 'images')).toEqual(
      ['h1', 'h2', 'h3'].map((machine) =>
        expect.objectContaining({ machine, total: 1, active: 1 }),
      ),
    )
    expect((await fleet('history', 'bb:1')).split('\t')[4]).toContain('Imported')
    const inspected = JSON.parse(await fleet('container', 'inspect', '--all', 'busy')) as object[]
    expect(inspected).toEqual(
      ['h1', 'h2', 'h3'].map((machine) => expect.objectContaining({ machine, Name: '/busy' })),
    )
    await fleet('--all', 'container', 'rm', '-f', 'busy')
  })

  test('volume and network list, inspect and remove by machine', async () => {
    await fleet('--all', 'volume', 'create', '--label', 'a=b', 'stored')
    await fleet('--all', 'network', 'create', '--subnet', '10.88.0.0/24', 'front')
    expect(await json('volume', 'ls', '--all', '-f', 'label=a=b')).toMatchObject(
      ['h1', 'h2', 'h3'].map((machine) => ({ machine, name: 'stored', labels: { a: 'b' } })),
    )
    expect(await json('network', 'ls', '-m', 'h1', '-f', 'name=front')).toMatchObject([
      { name: 'front', driver: 'bridge', subnets: ['10.88.0.0/24'] },
    ])
    expect(await fleet('volume', 'ls', '-q', '--on', 'role=web', '-f', 'label=a=b')).toBe(
      'h1/stored\nh2/stored\n',
    )
    expect(JSON.parse(await fleet('network', 'inspect', 'h2/front'))).toMatchObject([
      { Name: 'front' },
    ])
    await fleet(
      '-m',
      'h1',
      'run',
      '-d',
      '--name',
      'user',
      '-v',
      'stored:/d',
      'bb:1',
      'sleep',
      '600',
    )
    const partly = await ana.fleet(['volume', 'rm', '--all', '--yes', 'stored'])
    expect(partly).toMatchObject({ code: 1, stdout: 'h2\tstored\nh3\tstored\n' })
    expect(partly.stderr).toMatch(/1 of 3 machines failed\n {2}h1: .*volume is in use/)
    const asked = await ana.fleet(['network', 'rm', '--all', 'front'])
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining('h1..h3') })
    await fleet('container', 'rm', '-f', 'h1/user')
    expect(await fleet('volume', 'rm', 'h1/stored')).toBe('stored\n')
    expect(await fleet('network', 'rm', '-q', 'h3/front', 'h1/front')).toBe('h1/front\nh3/front\n')
    await fleet('-m', 'h2', 'network', 'rm', 'front')
  })

  test('prune removes what no container uses, and reports the reclaimed space', async () => {
    await fleet('--all', 'volume', 'create', 'kept')
    const fill = 'head -c 300000 /dev/zero >/v/fat; head -c 200000 /dev/zero >/fat'
    await fleet('--all', 'run', '--name', 'ended', '-v', '/v', 'bb:1', 'sh', '-c', fill)
    await fleet('--all', 'network', 'create', 'unused')
    const rows = await json('system', 'prune', '--volumes', '--all', '--yes')
    const kinds = ['containers', 'volumes', 'networks', 'images', 'build cache']
    expect(rows.map(({ machine, kind }) => [machine, kind])).toEqual(
      ['h1', 'h2', 'h3'].flatMap((machine) => kinds.map((kind) => [machine, kind])),
    )
    for (const [kind, reclaimed] of [
      ['containers', 200_000],
      ['volumes', 300_000],
    ]) {
      for (const row of rows.filter((row) => row['kind'] === kind)) {
        expect(row).toMatchObject({ removed: [expect.any(String)], reclaimed })
      }
    }
    expect(rows.filter(({ kind }) => kind === 'networks')).toMatchObject(
      [0, 1, 2].map(() => ({ removed: ['unused'] })),
    )
    const left = (await fleet('volume', 'ls', '-q', '--all')).split('\n')
    expect(left).toEqual(expect.arrayContaining(['h1/kept', 'h2/kept', 'h3/kept']))
    const all = await ana.fleet(['volume', 'prune', '-a', '--on', 'role=web', '-f'])
    expect(all).toMatchObject({ code: 0, stderr: expect.stringContaining('removed from h1, h2') })
    expect(await fleet('volume', 'prune', '-m', 'h3', '-a', '--yes')).toMatch(/^volumes\t1\t/)
  })

  test.each([
    ['SIGTERM', 'TERM', /cancelled/],
    ['a crash', 'USR2', /crashed on purpose/],
  ])('%s during a live table restores the terminal', async (_cause, signal, reason) => {
    await fleet('-m', 'h1', 'run', '-d', '--name', 'shown', 'bb:1', 'sleep', '600')
    const preload = join(ana.folder, 'crash.cjs')
    const crash = "process.on('SIGUSR2', () => { throw new Error('crashed on purpose') })"
    await writeFile(preload, crash)
    const script = `"$0" stats -m h1 & pid=$!; read line; kill -${signal} $pid; wait $pid; echo "ended with $?"`
    const { screen } = await ana.onTerminal(
      ['sh', '-c', script, program],
      [{ at: 'shown', type: '\r' }],
      { env: { NODE_OPTIONS: `--require=${preload}` } },
    )
    await fleet('-m', 'h1', 'container', 'rm', '-f', 'shown')
    const [, live = '', after = ''] = screen
      .replaceAll('\u001B[?1049l', '\u001B[?1049h')
      .split('\u001B[?1049h')
    expect(live).toContain('shown')
    expect(live.lastIndexOf('\u001B[?25h')).toBeGreaterThan(live.lastIndexOf('\u001B[?25l'))
    expect(after).toContain('shown') // the last table stays on the screen
    expect(screen).toMatch(reason)
    expect(after).toMatch(/ended with [1-9]/)
  })

  test('image layers shows sizes and the images that share them', async () => {
    const dockerfile = 'FROM bb:1\nRUN head -c 5000 /dev/zero >/five\n'
    await ana.fleet(['build', '-t', 'app:1', '-'], { input: dockerfile })
    const layers = await json('image', 'layers', 'app:1')
    expect(layers).toMatchObject([
      { image: 'app:1', sharedWith: ['bb:1'] },
      { image: 'app:1', size: 5000, sharedWith: [] },
    ])
    await fleet('image', 'rm', 'app:1')
  })

  test('a selector without matches and flags that exclude each other are errors', async () => {
    expect((await ana.fleet(['--on', 'role=nothing', 'ps'])).code).toBe(3)
    expect((await ana.fleet(['ps', '-m', 'h1', '--all'])).code).toBe(2)
    expect((await ana.fleet(['--on', 'h1', 'init'])).code).toBe(2)
    expect((await ana.fleet(['ps', '--nonsense'])).code).toBe(2)
    expect((await ana.fleet(['ps', '-f', 'nonsense'])).code).toBe(2)
    expect((await ana.fleet(['logs', '--since', 'yesterday', 'x'])).code).toBe(2)
  })
})
