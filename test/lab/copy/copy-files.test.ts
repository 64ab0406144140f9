import { execFileSync } from 'node:child_process'
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import type { Context } from '../../../src/operations/context.ts'
import { type Copied, copyFiles } from '../../../src/operations/copy/copy-files.ts'
import { parseCopyPath } from '../../../src/operations/copy/remote-path.ts'
import { type Seat, takeSeat } from '../../support/docker/docker-client.ts'
import { describeTree, makeTree, trees } from '../../support/files/file-trees.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'

const on = async (host: LabHost, command: string) => (await host.exec(command)).stdout.trim()
const names = (host: LabHost, path = '/srv/t') =>
  on(host, `cd ${path} && find . -mindepth 1 | sort`)
const makeFifo = (path: string) => execFileSync('sh', ['-c', 'mkfifo "$0"', path])
const cancel = (abort: AbortController) =>
  abort.abort(new UserError('cancelled', 'cancelled', { cause: 'SIGINT' }))

describe.skipIf(!labIsHere)('copying files', () => {
  let lab: Lab
  let h1: LabHost
  let h2: LabHost
  let seat: Seat
  let folder: string

  beforeAll(async () => {
    lab = await startLab({ hosts: 2 })
    ;[h1, h2] = lab.hosts as [LabHost, LabHost]
    seat = await takeSeat(lab, { here: false })
  })
  afterAll(async () => {
    await seat?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'copy-'))
    for (const host of lab.hosts) await host.exec('rm -rf /srv/t && mkdir /srv/t')
    return () => rm(folder, { recursive: true, force: true })
  })

  /** Copies `from` to `to`, both as typed on a command line. */
  async function copy(
    from: string,
    to: string,
    {
      progress = () => {},
      signal,
      as = seat,
    }: { progress?: (bytes: number) => void; signal?: AbortSignal; as?: Seat } = {},
  ): Promise<Copied> {
    const inventory = await (await as.fleet.inventory()).read()
    const context: Context = signal === undefined ? as.fleet : { ...as.fleet, signal }
    const places = [from, to].map((text) => parseCopyPath(text, inventory, { cwd: folder }))
    const [source = { path: '' }, target = { path: '' }] = places
    return await copyFiles(context, source, target, ({ bytes }) => progress(bytes))
  }
  /** Interrupts a copy of a large file with `cut` once 1 MB has been copied. Resolves to the error of the copy. */
  async function interrupt(from: string, to: string, cut: (abort: AbortController) => unknown) {
    const abort = new AbortController()
    let isCut = false
    const copying = copy(from, to, {
      signal: abort.signal,
      progress: (bytes) => {
        if (isCut || bytes < 1_000_000) return
        isCut = true
        void cut(abort)
      },
    })
    const error = await copying.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(isCut).toBe(true)
    return error
  }

  const here = (name: string) => join(folder, name)

  test('preserves any tree over a round trip through two machines', async () => {
    let number = 0
    await fc.assert(
      fc.asyncProperty(trees, async (tree) => {
        number += 1
        const [start, end] = [here(`start ${number}`), here(`end ${number}`)]
        await makeTree(start, tree)
        await copy(start, `h1:/srv/t/-${number}`)
        await copy(`h1:/srv/t/-${number}`, `h2:/srv/t/round ${number}`)
        await copy(`h2:/srv/t/round ${number}`, end)
        expect(await describeTree(end)).toEqual(await describeTree(start))
      }),
      { numRuns: 15 },
    )
    for (const host of lab.hosts) expect(await names(host)).not.toContain('.fleet-')
  })

  test('copies into an existing directory, otherwise to the given name', async () => {
    await mkdir(here('app'))
    await writeFile(here('app/file'), 'content')
    await copy('app', 'h1:/srv/t/new')
    await copy('app', 'h1:/srv/t')
    await copy('app/', 'h1:/srv/t/new/')
    await copy('app/file', 'h1:/srv/t/renamed')
    await copy('app/file', 'h1:/srv/t/app/')
    await copy('app/file', 'h1:')
    expect(await names(h1)).toBe(
      './app\n./app/file\n./new\n./new/app\n./new/app/file\n./new/file\n./renamed',
    )
    expect(await on(h1, 'cat ~/file && rm ~/file')).toBe('content')
    await copy('h1:/srv/t/new', '.')
    await copy('h1:/srv/t/renamed', 'other')
    expect((await readdir(folder)).sort()).toEqual(['app', 'new', 'other'])
    await copy('h1:/srv/t/new', 'h1:/srv/t/app')
    expect(await names(h1, '/srv/t/app')).toContain('./new/app/file')
  })

  test('merges a directory into one of the same name, and replaces a file with a file', async () => {
    await mkdir(here('app/deep'), { recursive: true })
    await writeFile(here('app/deep/new'), 'new')
    await h1.exec(
      'mkdir -p /srv/t/app/deep && echo old > /srv/t/app/deep/old && echo x > /srv/t/app/deep/new',
    )
    await copy('app', 'h1:/srv/t')
    expect(await on(h1, 'cat /srv/t/app/deep/new /srv/t/app/deep/old')).toBe('newold')
    await copy('h1:/srv/t/app', '.')
    expect(await readFile(here('app/deep/old'), 'utf8')).toBe('old\n')
    await copy('app/deep/old', 'h1:/srv/t/app/deep/new')
    expect(await on(h1, 'cat /srv/t/app/deep/new')).toBe('old')
  })

  test('copies local links as links, and follows links on a machine or with a trailing slash', async () => {
    await mkdir(here('real'))
    await writeFile(here('real/file'), 'content')
    await symlink('real', here('link'))
    await copy('link', 'h1:/srv/t/kept')
    await copy('link/', 'h1:/srv/t/followed')
    expect(await on(h1, 'readlink /srv/t/kept; cat /srv/t/followed/file')).toBe('real\ncontent')
    await h1.exec('ln -s followed /srv/t/way')
    await copy('h1:/srv/t/way', 'way')
    await h1.exec('ln -s followed/file /srv/t/one && ln -s absent /srv/t/nowhere')
    await copy('h1:/srv/t/one', 'one')
    expect(await describeTree(here('one'))).toMatchObject({ content: 'content' })
    await expect(copy('h1:/srv/t/nowhere', 'none')).rejects.toThrow(/is a broken link/)
    await copy('h1:/srv/t/way/', 'walked')
    expect(await readFile(here('way/file'), 'utf8')).toBe('content')
    expect(await readFile(here('walked/file'), 'utf8')).toBe('content')
    await copy('real/file', 'h1:/srv/t/way')
    expect(await on(h1, 'cat /srv/t/followed/file')).toBe('content')
  })

  test.each([
    { from: 'absent', to: 'h1:/srv/t', says: /absent does not exist/ },
    { from: 'h1:/srv/absent', to: '.', says: /h1:\/srv\/absent does not exist/, machine: 'h1' },
    {
      from: 'h1:/srv/absent/x',
      to: '.',
      says: /the directory \/srv\/absent does not exist/,
      machine: 'h1',
    },
    { from: 'file/', to: 'h1:/srv/t', says: /file\/ is not a directory/ },
    { from: 'file', to: 'h1:/srv/t/absent/', says: /is not a directory/, machine: 'h1' },
    {
      from: 'file',
      to: 'h1:/srv/t/absent/x',
      says: /does not exist or cannot be accessed/,
      machine: 'h1',
    },
    {
      from: 'file',
      to: 'h1:/srv/t/busy',
      says: /busy\/file already exists and is a directory/,
      machine: 'h1',
    },
    {
      from: 'busy',
      to: 'h1:/srv/t/file',
      says: /file already exists and is a file/,
      machine: 'h1',
    },
    { from: 'h1:/', to: '.', says: /is the root directory/, machine: 'h1' },
    { from: 'h1:/srv/t', to: 'h1:/srv/t/in', says: /into itself/, machine: 'h1' },
    { from: 'busy', to: 'busy/in', says: /into itself/ },
    { from: 'file', to: 'h1:/proc/x', says: /cannot write \/proc: /, machine: 'h1' },
  ])('reports why $from to $to cannot be copied', async ({ from, to, says, machine }) => {
    await writeFile(here('file'), 'content')
    await mkdir(here('busy'))
    await h1.exec('mkdir -p /srv/t/busy/file; touch /srv/t/file')
    const before = await names(h1)
    await expect(copy(from, to)).rejects.toMatchObject({
      kind: 'failed',
      machine,
      message: expect.stringMatching(says),
    })
    expect(await names(h1)).toBe(before)
    expect((await readdir(folder)).sort()).toEqual(['busy', 'file'])
  })

  test('reports files that the user may not read or write', async () => {
    await using ana = await takeSeat(lab, { here: false, user: 'ana' })
    await h1.exec('mkdir /srv/t/part && cd /srv/t/part && touch open secret && chmod 600 secret')
    const unreadable = {
      kind: 'failed',
      machine: 'h1',
      message: expect.stringMatching(/secret.*Permission denied/),
    }
    await expect(copy('h1:/srv/t/part', '.', { as: ana })).rejects.toMatchObject(unreadable)
    expect(await readdir(folder)).toEqual([])
    await expect(copy('h1:/srv/t/part', 'h2:', { as: ana })).rejects.toMatchObject(unreadable)
    expect(await on(h2, 'ls -A /srv/ana')).not.toMatch(/part|fleet/)
    await writeFile(here('file'), '')
    await expect(copy('file', 'h1:/srv/t', { as: ana })).rejects.toMatchObject({
      kind: 'failed',
      machine: 'h1',
      message: expect.stringMatching(/Permission denied/),
    })
  })

  test('reports a full disk and leaves nothing behind', async () => {
    await h1.exec('mkdir /srv/t/small && mount -t tmpfs -o size=1m tmpfs /srv/t/small')
    onTestFinished(async () => void (await h1.exec('umount /srv/t/small')))
    await writeFile(here('large'), Buffer.alloc(30_000_000))
    await expect(copy('large', 'h1:/srv/t/small')).rejects.toMatchObject({
      kind: 'failed',
      machine: 'h1',
      message: expect.stringMatching(/No space left/),
    })
    expect(await names(h1, '/srv/t/small')).toBe('')
  })

  test('reports progress in bytes', async () => {
    await writeFile(here('large'), Buffer.alloc(3_000_000))
    const seen: number[] = []
    await copy('large', 'h1:/srv/t', { progress: (bytes) => seen.push(bytes) })
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.at(-1)).toBe(3_000_000)
    expect((await stat(here('large'))).size).toBe(3_000_000)
  })

  test('keeps the owner, mode and inode of existing files, and writes to devices and FIFOs', async () => {
    await writeFile(here('new'), 'new')
    await h1.exec(
      `cd /srv/t && echo old > app.env && chown 33:33 app.env && chmod 600 app.env && ln -s app.env link &&
       touch mount && mount --bind app.env mount && mknod null c 1 3 && mkfifo pipe`,
    )
    onTestFinished(async () => void (await h1.exec('umount /srv/t/mount')))
    await copy('new', 'h1:/srv/t/app.env')
    expect(await on(h1, 'stat -c "%u:%g %a" /srv/t/app.env; cat /srv/t/mount')).toBe(
      '33:33 600\nnew',
    )
    await writeFile(here('new'), 'newer')
    await copy('new', 'h1:/srv/t/mount')
    expect(await on(h1, 'cat /srv/t/app.env')).toBe('newer')
    await writeFile(here('new'), 'newest')
    await copy('new', 'h1:/srv/t/link')
    expect(await on(h1, 'readlink /srv/t/link; cat /srv/t/app.env')).toBe('app.env\nnewest')
    await copy('new', 'h1:/srv/t/null')
    const read = h1.exec('cat /srv/t/pipe')
    await copy('new', 'h1:/srv/t/pipe')
    expect((await read).stdout).toBe('newest')
    expect(await on(h1, 'stat -c %F /srv/t/null /srv/t/pipe')).toBe('character special file\nfifo')
    await h1.exec('mkfifo /srv/t/other')
    await expect(copy('h1:/srv/t/other', '.')).rejects.toThrow(/is a device, FIFO or socket/)
  })

  test('keeps the mode and inode of existing local files, and writes to local FIFOs', async () => {
    await h1.exec('echo new > /srv/t/file')
    await writeFile(here('file'), 'old', { mode: 0o600 })
    await symlink('file', here('link'))
    await symlink('absent', here('dangling'))
    makeFifo(here('pipe'))
    const { ino } = await stat(here('file'))
    await copy('h1:/srv/t/file', 'link')
    const after = await stat(here('file'))
    expect([after.ino, after.mode & 0o777]).toEqual([ino, 0o600])
    expect(await readFile(here('file'), 'utf8')).toBe('new\n')
    const read = readFile(here('pipe'), 'utf8')
    await copy('h1:/srv/t/file', 'pipe')
    expect(await read).toBe('new\n')
    await expect(copy('h1:/srv/t/file', 'dangling')).rejects.toThrow(/is a broken link/)
    const abort = new AbortController()
    const waiting = copy('h1:/srv/t/file', 'pipe', { signal: abort.signal })
    cancel(abort)
    await expect(waiting).rejects.toMatchObject({ kind: 'cancelled' })
    await rm(here('link'))
    await symlink(here('outside'), here('file2'))
    await writeFile(here('outside'), 'kept')
    await h1.exec('mv /srv/t/file /srv/t/file2')
    await copy('h1:/srv/t/file2', '.') // a link that was not named is not followed
    expect(await readFile(here('outside'), 'utf8')).toBe('kept')
  })

  test('keeps names that are not UTF-8, and reports what cannot be copied', async () => {
    await h1.exec(
      `mkdir /srv/t/d && cd /srv/t/d && printf 1 > "$(printf 'caf\\351')" && printf 2 > "$(printf 'caf\\350')" &&
       mkfifo pipe && mknod null c 1 3 && touch tool && chmod 4755 tool && mkdir open && chmod 1777 open`,
    )
    const { skipped } = await copy('h1:/srv/t/d', '.')
    expect([...skipped].sort()).toEqual([
      'null is a device',
      'pipe is a FIFO',
      'tool was copied without its setuid bit',
    ])
    const names = await readdir(here('d'), { encoding: 'latin1' })
    expect(names.sort()).toEqual(['caf\u00e8', 'caf\u00e9', 'open', 'tool'])
    expect((await stat(here('d/open'))).mode & 0o7777).toBe(0o1777)
    await copy('d', 'h2:/srv/t/back')
    expect(await on(h2, 'cd /srv/t/back && cat caf*')).toBe('21')
    makeFifo(here('d/mine'))
    expect((await copy('d', 'h1:/srv/t')).skipped).toEqual(['./mine is a FIFO'])
    expect((await copy('h1:/srv/t/d', 'h1:/srv/t/e')).skipped).toEqual([])
    expect(await on(h1, 'stat -c "%F %a" /srv/t/e/pipe /srv/t/e/tool')).toBe(
      'fifo 644\nregular empty file 4755',
    )
  })

  test('merges into an existing writable directory although its parent is not writable', async () => {
    await using ana = await takeSeat(lab, { here: false, user: 'ana' })
    await h1.exec(
      'mkdir /srv/t/mine && cd /srv/t/mine && echo old > file && echo kept > other && ln -s other link && chown -R ana . && chown root file && chmod 666 file',
    )
    await mkdir(here('mine/deep'), { recursive: true })
    for (const name of ['file', 'link', 'deep/x']) await writeFile(here(`mine/${name}`), 'new')
    await chmod(here('mine/deep'), 0o555)
    await copy('mine', 'h1:/srv/t', { as: ana })
    expect(
      await on(h1, 'cd /srv/t/mine && cat file link deep/x other && stat -c "%U %a" file deep'),
    ).toBe('newnewnewkept\nroot 666\nana 555')
    expect(await names(h1)).not.toContain('.fleet-')
  })

  test('ignores what the login shell prints at startup', async () => {
    await h1.exec('cp -p ~/.bashrc ~/kept; echo "echo WELCOME" > ~/.bashrc')
    onTestFinished(async () => void (await h1.exec('rm ~/.bashrc; mv ~/kept ~/.bashrc')))
    await writeFile(here('file'), 'content')
    await copy('file', 'h1:/srv/t/file')
    await copy('h1:/srv/t/file', 'back')
    expect(await readFile(here('back'), 'utf8')).toBe('content')
    expect(await on(h1, 'cat /srv/t/file')).toBe('content')
  })

  test('needs only one session at a time, and can be cancelled while it waits for one', async () => {
    await using narrow = await startLab({
      hosts: 2,
      engine: true,
      image: true,
      sshdOptions: { MaxSessions: '1' },
    })
    await using ana = await takeSeat(narrow, { here: false })
    await writeFile(here('file'), 'content')
    await copy('file', 'h1:/srv/file', { as: ana })
    await Promise.all([
      copy('h1:/srv/file', 'h2:/srv/there', { as: ana }),
      copy('file', 'h2:/srv/other', { as: ana }),
      copy('h1:/srv/file', 'h1:/srv/second', { as: ana }),
    ])
    await Promise.all([
      copy('h1:/srv/file', 'h2:/srv/a', { as: ana }),
      copy('h2:/srv/there', 'h1:/srv/b', { as: ana }),
    ])
    await copy('h1:/srv/b', 'back', { as: ana })
    expect(await readFile(here('back'), 'utf8')).toBe('content')
    await writeFile(join(ana.folder, 'app.env'), 'X=1\n')
    expect(
      await ana.ok(['run', '--rm', '--env-file', 'app.env', 'bb:1', 'sh', '-c', 'echo $X']),
    ).toBe('1')

    const [machine] = (await (await ana.fleet.inventory()).read()).machines.values()
    const transport = machine && (await ana.fleet.connect(machine))
    const busy = await transport?.exec(['sleep', '600'])
    const abort = new AbortController()
    const waiting = copy('file', 'h1:/srv/late', { as: ana, signal: abort.signal })
    setImmediate(() => cancel(abort))
    await expect(waiting).rejects.toMatchObject({ kind: 'cancelled' })
    busy?.kill('TERM')
  })

  describe('leaves nothing behind when it is interrupted', () => {
    const large = Buffer.alloc(200_000_000, 'fleet')
    test.each([
      { from: 'large', to: 'h1:/srv/t/large' },
      { from: 'h2:/srv/large', to: 'copy' },
      { from: 'h2:/srv/large', to: 'h1:/srv/t/large' },
    ])('by Ctrl-C while it copies $from to $to', async ({ from, to }) => {
      await writeFile(here('large'), large)
      await h2.exec('head -c 200000000 /dev/zero > /srv/large')
      expect(await interrupt(from, to, cancel)).toMatchObject({ kind: 'cancelled' })
      expect(await names(h1)).toBe('')
      expect(await readdir(folder)).toEqual(['large'])
    })

    test('by a lost connection', async () => {
      await writeFile(here('large'), large)
      const error = await interrupt('large', 'h1:/srv/t/large', () =>
        h1.exec("pkill -KILL -f 'sshd: root@nott[y]'"),
      )
      expect(error).toMatchObject({ kind: 'unreachable', machine: 'h1' })
      await expect.poll(() => names(h1), { timeout: 120_000 }).toBe('')
    })
  })
})
