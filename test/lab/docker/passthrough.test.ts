import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { runDockerLines } from '../../../src/operations/docker/run-docker.ts'
import { type Seat, modes, takeSeat } from '../../support/docker/docker-client.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'

let lab: Lab
beforeAll(async () => {
  if (labIsHere) lab = await startLab({ hosts: 2, engine: true, image: true })
})
afterAll(() => lab?.[Symbol.asyncDispose]())

/** Returns arguments that run a script in a new container. */
const shell = (script: string) => ['run', '--rm', 'bb:1', 'sh', '-c', script]

/** Resolves to the temporary files that fleet has left on the first host. */
const leftovers = async (): Promise<string> => {
  const [host] = lab.hosts
  const found = await host?.exec('ls -d /dev/shm/.fleet-* /tmp/.fleet-* 2>/dev/null')
  return found?.stdout ?? ''
}

describe.skipIf(!labIsHere).each(modes)('docker $mode', ({ here }) => {
  let seat: Seat
  beforeAll(async () => {
    seat = await takeSeat(lab, { here })
  })
  afterAll(async () => {
    await seat.docker(['container', 'prune', '--force'])
    await seat[Symbol.asyncDispose]()
    expect(await leftovers()).toBe('')
  })

  test('returns the output, error output and exit codes of the container', async () => {
    const answer = await seat.docker(shell('echo out; echo err >&2; exit 3'))
    expect(answer).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' })
    expect(await seat.docker(shell('exit 0'))).toMatchObject({ code: 0 })
    expect(await seat.docker(shell('sh -c "kill -9 \\$\\$"; exit $?'))).toMatchObject({ code: 137 })
    expect(await seat.docker(['run', '--no-such-flag'])).toMatchObject({ code: 125 })
  })

  test('passes unusual arguments to the container unchanged', async () => {
    const words = ['', ' a  b ', '$HOME', '`id`', "it's", '"q"', '*', 'new\nline', '-x', '\\', 'é☂']
    const script = 'for word; do printf "%s|" "$word"; done'
    const { stdout } = await seat.docker([
      'run',
      '--rm',
      'bb:1',
      'sh',
      '-c',
      script,
      'sh',
      ...words,
    ])
    expect(stdout).toBe(words.map((word) => `${word}|`).join(''))
  })

  test('passes small and large input on to its end', async () => {
    expect(await seat.ok(['run', '-i', '--rm', 'bb:1', 'cat'], { input: 'hi\n' })).toBe('hi')
    const input = Buffer.alloc(5_000_000, 'fleet\n')
    const count = await seat.ok(['run', '-i', '--rm', 'bb:1', 'wc', '-c'], { input })
    expect(count).toBe(String(input.length))
  })

  test('exits if the command reads none of an endless input', async () => {
    const endless = new Readable({
      read() {
        setImmediate(() => this.push('more\n'))
      },
    })
    expect(
      await seat.docker(['run', '-i', '--rm', 'bb:1', 'true'], { input: endless }),
    ).toMatchObject({ code: 0 })
    endless.destroy()
  })

  test('creates, starts, stops, restarts, commits and removes a container', async () => {
    await seat.ok([
      'create',
      '--name',
      'life',
      'bb:1',
      'sh',
      '-c',
      'echo kept > /kept; trap "exit 5" TERM; while :; do sleep 0.1; done',
    ])
    await seat.ok(['start', 'life'])
    const state = () => seat.ok(['inspect', '-f', '{{.State.Running}} {{.State.ExitCode}}', 'life'])
    expect(await state()).toBe('true 0')
    await seat.ok(['restart', 'life'])
    await expect
      .poll(() => seat.docker(['exec', 'life', 'cat', '/kept']))
      .toMatchObject({ stdout: 'kept\n' })
    await seat.ok(['stop', '-t', '5', 'life'])
    expect(await state()).toBe('false 5')
    await seat.ok(['commit', 'life', 'team/life:2'])
    expect(await seat.ok(['run', '--rm', 'team/life:2', 'cat', '/kept'])).toBe('kept')
    await seat.ok(['rm', 'life'])
    await seat.ok(['rmi', 'team/life:2'])
    expect(await seat.docker(['inspect', 'life'])).toMatchObject({ code: 1 })
  })

  test('passes SIGTERM on to the container, and returns its exit code', async () => {
    const abort = new AbortController()
    const script = 'trap "echo asked; exit 7" TERM; echo ready; while :; do sleep 0.1; done'
    const answer = seat.docker(['run', '--rm', '--name', 'asked', 'bb:1', 'sh', '-c', script], {
      signal: abort.signal,
    })
    await expect.poll(() => seat.docker(['logs', 'asked'])).toMatchObject({ stdout: 'ready\n' })
    abort.abort(new UserError('cancelled', 'cancelled', { cause: 'SIGTERM' }))
    expect(await answer).toMatchObject({ code: 7, stdout: expect.stringContaining('asked') })
  })

  test('uses environment variables and env files of this computer', async () => {
    await writeFile(join(seat.folder, 'vars'), '# a comment\nFROM_FILE=one two\nBARE\nABSENT\n')
    const env = { BARE: 'from here', LONG: 'two\nlines', QUOTE: `it's "$HOME"` }
    const flags = [
      '--env-file',
      'vars',
      '-e',
      'LONG',
      '-e',
      'QUOTE',
      '-e',
      'NOT_HERE',
      '-eSET=here',
    ]
    const print = 'echo "$FROM_FILE|$BARE|$LONG|$QUOTE|$SET|${NOT_HERE-unset}|${ABSENT-unset}"'
    const said = await seat.ok(['run', '--rm', ...flags, 'bb:1', 'sh', '-c', print], { env })
    expect(said).toBe(`one two|from here|two\nlines|it's "$HOME"|here|unset|unset`)
  })

  test('builds an image from a directory with the same files as docker sends', async () => {
    const context = join(seat.folder, 'app')
    await mkdir(join(context, 'empty'), { recursive: true })
    await mkdir(join(context, 'logs/deep'), { recursive: true })
    const files = {
      'a.txt': 'a',
      'b.tmp': 'b',
      '.hidden': 'h',
      'odd  name é': 'o',
      'logs/x.log': 'x',
      'logs/deep/keep.log': 'k',
      'sub.tmp/in': 'i',
    }
    await mkdir(join(context, 'sub.tmp'))
    for (const [name, content] of Object.entries(files))
      await writeFile(join(context, name), content)
    await writeFile(join(context, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 })
    await symlink('a.txt', join(context, 'link'))
    await writeFile(
      join(context, '.dockerignore'),
      '# nothing of these\n*.tmp\nlogs/**\n!logs/deep/keep.log\nDockerfile\n',
    )
    await writeFile(
      join(context, 'Dockerfile'),
      'FROM bb:1\nARG WHO\nCOPY . /ctx\nRUN echo "$WHO" > /who\n',
    )
    const env = { WHO: 'ana', DOCKER_BUILDKIT: '0' }
    await seat.ok(['build', '-q', '-t', 'team/app:1', '--build-arg', 'WHO', 'app'], { env })
    const list = 'cd /ctx; find . | sort; ls -l link run.sh | cut -c1-10; cat link /who'
    expect(await seat.ok(['run', '--rm', 'team/app:1', 'sh', '-c', list])).toBe(
      [
        '.',
        './.dockerignore',
        './.hidden',
        './a.txt',
        './empty',
        './link',
        './logs',
        './logs/deep',
        './logs/deep/keep.log',
        './odd  name é',
        './run.sh',
        'lrwxrwxrwx',
        '-rwxr-xr-x',
        'aana',
      ].join('\n'),
    )
  })

  test('builds with a Dockerfile outside the context or from the input, or a context from the input', async () => {
    const context = join(seat.folder, 'other')
    await mkdir(context)
    await writeFile(join(context, 'data'), 'data')
    await writeFile(
      join(seat.folder, 'Elsewhere'),
      'FROM scratch\nCOPY data /data\nLABEL at=elsewhere\n',
    )
    const env = { DOCKER_BUILDKIT: '0' }
    const label = (image: string) => seat.ok(['inspect', '-f', '{{.Config.Labels.at}}', image])
    await seat.ok(['build', '-t', 'elsewhere', '-f', 'Elsewhere', 'other'], { env })
    expect(await label('elsewhere')).toBe('elsewhere')
    await seat.ok(['image', 'build', '-t', 'typed', '-f-', 'other'], {
      env,
      input: 'FROM bb:1\nCOPY data /data\nLABEL at=typed\n',
    })
    expect(await label('typed')).toBe('typed')
    await seat.ok(['build', '-t', 'bare', '-'], { env, input: 'FROM bb:1\nLABEL at=bare\n' })
    expect(await label('bare')).toBe('bare')
  })

  test('writes the IDs of images and containers to files of this computer', async () => {
    const context = join(seat.folder, 'ids')
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), 'FROM bb:1\nLABEL at=ids\n')
    const env = { DOCKER_BUILDKIT: '0' }
    await seat.ok(['build', '-t', 'ids', '--iidfile', 'ids/image', 'ids'], { env })
    const read = (name: string) => readFile(join(context, name), 'utf8').catch(() => '')
    expect(await read('image')).toBe(await seat.ok(['inspect', '-f', '{{.Id}}', 'ids']))
    const running = seat.docker(
      ['run', '--rm', '--name', 'held', '--cidfile', 'ids/container', 'ids', 'sleep', '600'],
      { env },
    )
    await expect.poll(() => read('container'), { timeout: 120_000 }).toMatch(/^[0-9a-f]{64}$/)
    expect(await seat.ok(['inspect', '-f', '{{.Id}}', 'held'])).toBe(await read('container'))
    await seat.ok(['rm', '-f', 'held'])
    await running
    const again = seat.docker(['create', '--cidfile', 'ids/container', 'ids'])
    expect(
      await again.then(
        ({ code }) => code,
        () => 125,
      ),
    ).toBeGreaterThan(0)
    await seat.ok(['create', '--name', 'made', '--cidfile', 'ids/made', 'ids'])
    expect(await read('made')).toMatch(/^[0-9a-f]{64}$/)
    await seat.ok(['rm', 'made'])
  })

  test('reports a failing build', async () => {
    const context = join(seat.folder, 'failing')
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), 'FROM bb:1\nRUN exit 9\n')
    const { code } = await seat.docker(['build', 'failing'], { env: { DOCKER_BUILDKIT: '0' } })
    expect(code).not.toBe(0)
  })

  test('saves and loads images, and exports and imports containers', async () => {
    await seat.ok(['tag', 'bb:1', 'team/saved:1'])
    await seat.ok(['save', '-o', 'saved.tar', 'team/saved:1'])
    await seat.ok(['load', '-i', 'saved.tar'], { machine: 'h2' })
    expect(
      await seat.ok(['run', '--rm', 'team/saved:1', 'echo', 'loaded'], { machine: 'h2' }),
    ).toBe('loaded')
    await seat.ok(['create', '--name', 'exported', 'bb:1'])
    await seat.ok(['export', '--output=flat.tar', 'exported'])
    await seat.ok(['import', '-c', 'CMD ["/bin/echo", "flat"]', 'flat.tar', 'team/flat:1'])
    expect(await seat.ok(['run', '--rm', 'team/flat:1'])).toBe('flat')
    expect(await seat.docker(['save', '-o', 'half.tar', 'no-such-image'])).toMatchObject({
      code: 1,
    })
    const files = await readdir(seat.folder)
    expect(files.filter((name) => name.includes('half'))).toEqual([])
    await seat.ok(['rm', 'exported'])
  })

  test('copies between a container and this computer by the rules of docker cp', async () => {
    await seat.ok(['create', '--name', 'box', 'bb:1', 'sh'])
    const tree = join(seat.folder, 'tree')
    await mkdir(join(tree, 'in'), { recursive: true })
    await writeFile(join(tree, 'in/file'), 'content', { mode: 0o640 })
    await symlink('in/file', join(tree, 'link'))
    const list = async (path: string) => {
      const archive = await seat.docker(['cp', `box:${path}`, '-'])
      return archive.code
    }
    await seat.ok(['cp', 'tree', 'box:/new']) // the target does not exist, so the copy has a new name
    await seat.ok(['cp', 'tree', 'box:/new']) // the target exists, so the tree is copied into it
    await seat.ok(['cp', 'tree/.', 'box:/tmp']) // only the contents
    await seat.ok(['cp', 'tree/link', 'box:/tmp/alink'])
    await seat.ok(['cp', '-L', 'tree/link', 'box:/tmp/followed'])
    await expect(list('/new/tree/in/file')).resolves.toBe(0)
    await mkdir(join(seat.folder, 'out'))
    await seat.ok(['cp', 'box:/new', 'out']) // into a directory
    await seat.ok(['cp', 'box:/tmp/in/file', 'copy']) // under a new name
    await seat.ok(['cp', 'box:/tmp/followed', 'out/.'])
    await seat.ok(['cp', 'box:/tmp/.', 'contents'])
    expect(await readFile(join(seat.folder, 'out/new/tree/in/file'), 'utf8')).toBe('content')
    expect(await readFile(join(seat.folder, 'copy'), 'utf8')).toBe('content')
    expect(await readFile(join(seat.folder, 'out/followed'), 'utf8')).toBe('content')
    expect((await readdir(join(seat.folder, 'contents'))).sort()).toEqual([
      'alink',
      'followed',
      'in',
      'link',
    ])
    const missing = await seat
      .docker(['cp', 'box:/no/such', 'out'])
      .catch((error: unknown) => error)
    expect(missing).toMatchObject(missing instanceof Error ? { kind: 'failed' } : { code: 1 })
    expect(JSON.stringify(missing)).not.toContain('.fleet-')
    await symlink('/etc/passwd', join(seat.folder, 'leading'))
    await seat.ok(['cp', 'leading', 'box:/tmp'])
    const leading = await seat
      .docker(['cp', 'box:/tmp/leading', 'out'])
      .then(({ code }) => `docker's own client: ${code}`, String)
    expect(leading).toMatch(here ? /client: 0/ : /would point to \/etc\/passwd on this comp/)
    await seat.ok(['rm', 'box'])
  })

  test('returns output line by line for many machines', async () => {
    const lines: string[] = []
    const { operator, folder: cwd } = seat
    const env = { ...operator.env, PATH: here ? process.env['PATH'] : cwd }
    const signal = new AbortController().signal
    const script = 'echo one; echo two >&2; printf three; exit 4'
    const code = await runDockerLines(
      seat.fleet,
      await seat.machine(),
      shell(script),
      { env, cwd, signal },
      (stream, line) => lines.push(`${stream} ${line}`),
    )
    expect(code).toBe(4)
    expect(lines.sort()).toEqual(['stderr two', 'stdout one', 'stdout three'])
  })
})

describe.skipIf(!labIsHere)('docker without a local CLI', () => {
  test('puts no values of variables on a command line', async () => {
    await using seat = await takeSeat(lab, { here: false })
    const context = join(seat.folder, 'args')
    await mkdir(context)
    await writeFile(
      join(context, 'Dockerfile'),
      'FROM bb:1\nARG TOKEN\nRUN echo "$TOKEN" > /t; sleep 2\n',
    )
    const token = "s3cret 'of' many\nlines \\"
    const env = { TOKEN: token, DOCKER_BUILDKIT: '0' }
    const [host] = lab.hosts
    const lines = async () =>
      (await host?.exec(`cat /proc/[0-9]*/cmdline | tr '\\0' ' '`))?.stdout ?? ''
    const building = seat.ok(['build', '-t', 'args', '--build-arg', 'TOKEN', 'args'], { env })
    await expect.poll(lines, { timeout: 120_000, interval: 50 }).toContain('--build-arg=TOKEN')
    const words = (await lines()).split(' ').filter((word) => !word.includes('echo'))
    await building
    expect(words.join(' ')).not.toMatch(/--build-arg=TOKEN=|docker.*s3cret/)
    const show = ['run', '--rm', '-e', 'TOKEN', 'args', 'sh', '-c', 'cat /t; echo "$TOKEN"']
    expect(await seat.ok(show, { env })).toBe(`${token}\n${token}`)
  })

  test.each(['ana', 'bob'] as const)(
    'works for %s, with sudo where it is necessary',
    async (user) => {
      await using seat = await takeSeat(lab, { here: false, user })
      expect(
        await seat.ok(['run', '--rm', '-i', '-e', 'X', 'bb:1', 'sh', '-c', 'cat; echo $X'], {
          input: 'in ',
          env: { X: 'x' },
        }),
      ).toBe('in x')
      await writeFile(join(seat.folder, 'file'), 'mine')
      await seat.ok(['create', '--name', `of-${user}`, 'bb:1'])
      await seat.ok(['cp', 'file', `of-${user}:/file`])
      await seat.ok(['cp', `of-${user}:/file`, 'back'])
      expect(await readFile(join(seat.folder, 'back'), 'utf8')).toBe('mine')
      await seat.ok(['rm', `of-${user}`])
    },
  )

  test('writes existing local files in place with save and cp', async () => {
    await using seat = await takeSeat(lab, { here: false })
    const [file, device] = [join(seat.folder, 'file'), join(seat.folder, 'device')]
    await writeFile(file, 'old', { mode: 0o640 })
    execFileSync('sh', ['-c', 'mknod "$0" c 1 3', device])
    const { ino } = await stat(file)
    await expect(seat.docker(['save', '-o', 'file', 'no/such:1'])).resolves.toMatchObject({
      code: 1,
    })
    expect(await readFile(file, 'utf8')).toBe('old')
    await seat.ok(['save', '-o', 'file', 'bb:1'])
    await seat.ok(['save', '-o', 'device', 'bb:1'])
    const after = await stat(file)
    expect([after.ino, after.mode & 0o777, after.size > 100_000]).toEqual([ino, 0o640, true])
    await seat.ok(['create', '--name', 'special', 'bb:1', 'sh'])
    await seat.ok(['cp', 'special:/etc/passwd', 'file'])
    await seat.ok(['cp', 'special:/etc/passwd', 'device'])
    expect((await stat(file)).ino).toBe(ino)
    expect(await readFile(file, 'utf8')).toContain('root:')
    expect((await stat(device)).isCharacterDevice()).toBe(true)
    await mkdir(join(seat.folder, 'd'))
    execFileSync('sh', ['-c', 'mkfifo "$0"', join(seat.folder, 'd/pipe')])
    await writeFile(join(seat.folder, 'd/x'), 'x', { mode: 0o4755 })
    await chmod(join(seat.folder, 'd/x'), 0o4755)
    expect(await seat.docker(['cp', 'd', 'special:/tmp'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('pipe is a FIFO') as string,
    })
    expect(await seat.docker(['cp', 'special:/tmp/d', 'back'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('x was copied without its setuid bit') as string,
    })
    expect(await seat.docker(['cp', 'special:/', 'whole'])).toMatchObject({ code: 1 }) // skips x's setuid bit again
    expect(await readdir(join(seat.folder, 'whole'))).toContain('etc')
    await seat.ok(['rm', 'special'])
  })

  test.each([
    { args: ['login', 'r.example'], what: 'login' },
    { args: ['build', '--ssh', 'default', '.'], what: 'build --ssh' },
    { args: ['build', '-o', 'out', '.'], what: 'build --output' },
  ])('reports that $what requires a local CLI', async ({ args, what }) => {
    await using seat = await takeSeat(lab, { here: false })
    await expect(seat.docker(args)).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining(what),
    })
  })

  test('deletes its files on the host when the connection is lost', async () => {
    const [host] = lab.hosts
    await using seat = await takeSeat(lab, { here: false })
    const running = seat.docker(
      ['run', '--rm', '--name', 'cut', '-e', 'X', 'bb:1', 'sleep', '300'],
      { env: { X: 'private' } },
    )
    running.catch(() => {})
    await expect.poll(leftovers).not.toBe('')
    await host?.exec("pkill -f 'sshd: root@nott[y]'")
    await expect(running).rejects.toMatchObject({ kind: 'unreachable' })
    await expect.poll(leftovers).toBe('')
    await host?.exec('docker rm -f cut')
  })
})
