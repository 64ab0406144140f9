import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { UserError } from '../../../../src/errors.ts'
import {
  type Accepted,
  acceptEntries,
} from '../../../../src/operations/copy/archive/accept-entries.ts'
import { readTar } from '../../../../src/operations/copy/archive/read-tar.ts'
import { showName } from '../../../../src/operations/copy/archive/tar-format.ts'
import { writeTar } from '../../../../src/operations/copy/archive/write-tar.ts'
import type { Target } from '../../../../src/operations/copy/endpoint.ts'
import { openLocalEndpoint } from '../../../../src/operations/copy/local-files.ts'
import { packTree, pathsBelow } from '../../../../src/operations/copy/local-tar.ts'
import { type Tree, describeTree, makeTree, trees } from '../../../support/files/file-trees.ts'
import {
  endOfArchive,
  entry,
  extension,
  hostileArchives,
  paxRecords,
  rawHeader,
} from '../../../support/hostile/hostile-archive.ts'

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tree-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const packed = (folder: string, name: string) =>
  packTree(folder, { paths: pathsBelow(folder, name) })

const side = openLocalEndpoint(new AbortController().signal)

/** Unpacks an archive of `root` at `path`. Resolves to descriptions of the skipped entries. */
async function arrive(
  archive: AsyncIterable<Buffer>,
  path: string,
  { how = 'place' }: { readonly how?: Target['how'] } = {},
): Promise<string[]> {
  const skipped: string[] = []
  const entries = acceptEntries(archive, { root: 'top', onSkipped: (what) => skipped.push(what) })
  await using receiver = await side.receive({ path, how })
  await receiver.take(entries)
  return skipped
}

test('any tree is unpacked exactly as it was packed, for any chunks', async () => {
  const root = await makeFolder()
  let number = 0
  await fc.assert(
    fc.asyncProperty(trees, fc.integer({ min: 200, max: 9000 }), async (tree: Tree, size) => {
      const [from, to] = [join(root, `from-${(number += 1)}`), join(root, `to-${number}`)]
      await mkdir(from)
      await makeTree(join(from, 'top'), tree)
      const whole = await buffer(packed(from, 'top'))
      const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      )
      await arrive(Readable.from(pieces), to)
      expect(await describeTree(to)).toEqual(await describeTree(join(from, 'top')))
    }),
    { numRuns: 40 },
  )
})

describe('a truncated archive', () => {
  test.each([1, 300, 1000, 2000, 70_000])('is an error after %d bytes', async (length) => {
    const folder = await makeFolder()
    await mkdir(join(folder, 'top'))
    await writeFile(join(folder, 'top/file'), Buffer.alloc(100_000, 'x'))
    const whole = await buffer(packed(folder, 'top'))
    const target = await makeFolder()
    const cut = Readable.from([whole.subarray(0, length)])
    await expect(arrive(cut, join(target, 'new'))).rejects.toThrow(/is incomplete/)
    const lost = new PassThrough().on('error', () => {})
    lost.write(whole.subarray(0, length))
    setImmediate(() => lost.destroy(new Error('the link is lost')))
    await expect(arrive(lost, join(target, 'new'))).rejects.toThrow('the link is lost')
    expect(await readdir(target)).toEqual([])
  })
})

/** Creates, next to the target, a directory with files that no archive may change. */
async function makeBystander(): Promise<{ folder: string; readState: () => Promise<unknown> }> {
  const folder = await makeFolder()
  const victim = join(folder, 'outside')
  await mkdir(victim, { mode: 0o700 })
  await writeFile(join(victim, 'kept'), 'kept', { mode: 0o600 })
  await symlink('kept', join(victim, 'link'))
  const look = async () => {
    const facts = [join(victim), join(victim, 'kept'), join(victim, 'link')].map(async (path) => {
      const { mode, mtimeMs, ino, nlink, uid } = await lstat(path)
      return [mode, mtimeMs, ino, nlink, uid]
    })
    const names = [(await readdir(folder)).sort(), (await readdir(victim)).sort()]
    return [await Promise.all(facts), names, await readFile(join(victim, 'kept'), 'utf8')]
  }
  return { folder, readState: look }
}

/** Unpacks an archive with tar, as a host would. */
async function untar(archive: Buffer, folder: string): Promise<void> {
  const tar = spawn('tar', ['-xpof', '-', '-C', folder], { stdio: ['pipe', 'ignore', 'ignore'] })
  tar.stdin.on('error', () => {})
  tar.stdin.end(archive)
  await once(tar, 'close')
}

test('no archive writes or changes anything outside its target, on this computer or on a host', async () => {
  const { folder, readState: look } = await makeBystander()
  await mkdir(join(folder, 'work'))
  await mkdir(join(folder, 'far'))
  const before = await look()
  let accepted = 0
  async function* counted(entries: AsyncIterable<Accepted>) {
    for await (const one of entries) {
      accepted += 1
      yield one
    }
  }
  await fc.assert(
    fc.asyncProperty(
      hostileArchives('top', 'outside'),
      fc.constantFrom<Target['how']>('place', 'merge', 'write'),
      async (archive, how) => {
        const target = join(folder, 'work/target')
        if (how === 'merge') await mkdir(target)
        if (how === 'write') await writeFile(target, 'old')
        const trouble = await arrive(Readable.from([archive]), target, { how }).catch(
          (error: unknown) => error,
        )
        if (trouble instanceof Error && !(trouble instanceof UserError)) throw trouble
        const left = await readdir(join(folder, 'work'))
        expect(left.filter((name) => name !== 'target')).toEqual([])

        const passed: Buffer[] = []
        const entries = acceptEntries(Readable.from([archive]), {
          root: 'top',
          onSkipped: () => {},
        })
        try {
          for await (const piece of writeTar(counted(entries), {
            root: 'content',
            mark: 'whole',
          })) {
            passed.push(piece)
          }
        } catch (error) {
          if (!(error instanceof UserError)) throw error
        }
        await untar(Buffer.concat(passed), join(folder, 'far'))
        const far = await readdir(join(folder, 'far'))
        expect(far.filter((name) => name !== 'content' && name !== 'whole')).toEqual([])
        for (const name of ['work', 'far']) {
          await rm(join(folder, name), { recursive: true, force: true })
          await mkdir(join(folder, name))
        }
        expect(await look()).toEqual(before)
      },
    ),
    { numRuns: 400 },
  )
  expect(accepted).toBeGreaterThan(200) // otherwise the test would prove little
})

const top = entry({ name: './top', type: '5', mode: 0o755 })

test('only a file is accepted where a file was requested', async () => {
  const link = entry({ name: './top', type: '2', linkname: '/etc/passwd' })
  const entries = acceptEntries(Readable.from([Buffer.concat([link, endOfArchive])]), {
    root: 'top',
    expected: 'file',
    onSkipped: () => {},
  })
  await expect(entries.next()).rejects.toThrow('./top is a symlink, which was not requested')
})

describe('a malformed or unsafe archive', () => {
  test.each<[what: string, parts: Buffer[]]>([
    ['a name other than the requested one', [entry({ name: './other' }, 'x')]],
    ['a name that only begins with the requested one', [entry({ name: './topmost' }, 'x')]],
    ['a path that leaves the requested directory', [top, entry({ name: './top/../x' }, 'x')]],
    ['an absolute path', [entry({ name: '/top' }, 'x')]],
    ['a file whose directory is missing', [top, entry({ name: './top/a/b' }, 'x')]],
    [
      'a file below a symlink',
      [
        top,
        entry({ name: './top/a', type: '2', linkname: '/etc' }),
        entry({ name: './top/a/b' }, 'x'),
      ],
    ],
    [
      'a directory that replaces a symlink',
      [
        top,
        entry({ name: './top/a', type: '2', linkname: '/etc' }),
        entry({ name: './top/a', type: '5' }),
      ],
    ],
    [
      'a symlink that replaces a directory',
      [
        top,
        entry({ name: './top/a', type: '5' }),
        entry({ name: './top/a', type: '2', linkname: '/etc' }),
      ],
    ],
    [
      'a hard link to a file outside the archive',
      [top, entry({ name: './top/a', type: '1', linkname: '/etc/passwd' })],
    ],
    [
      'a hard link through a symlink',
      [
        top,
        entry({ name: './top/l', type: '2', linkname: '/etc' }),
        entry({ name: './top/a', type: '1', linkname: './top/l/passwd' }),
      ],
    ],
    ['a negative size', [entry({ name: './top', size: Buffer.alloc(12, 0xff) })]],
    ['a negative size in a pax record', [extension('x', paxRecords({ size: '-5' })), top]],
    ['a sparse file', [entry({ name: './top', type: 'S' })]],
    ['a sparse file in pax format', [extension('x', paxRecords({ 'GNU.sparse.major': '1' })), top]],
    ['a name of 1 GiB', [rawHeader({ type: 'L', size: 1 << 30 })]],
    ['too many extension headers', Array<Buffer>(50).fill(extension('g', 'x'))],
    ['a directory that has content', [entry({ name: './top', type: '5' }, 'x')]],
    ['a wrong checksum', [Buffer.alloc(512, 'x')]],
    ['no entries', []],
    ['data after its end', [top, endOfArchive, Buffer.alloc(3 << 20)]],
  ])('is refused with %s', async (_what, parts) => {
    const folder = await makeFolder()
    const archive = Readable.from([Buffer.concat([...parts, endOfArchive])])
    await expect(arrive(archive, join(folder, 'new'))).rejects.toMatchObject({ kind: 'failed' })
    expect(await readdir(folder)).toEqual([])
  })
})

test('reads long names in the pax and GNU formats', async () => {
  const long = 'n'.repeat(150)
  const archive = Buffer.concat([
    top,
    extension('x', paxRecords({ path: `top/${long}`, size: '3', mtime: '12.5' })),
    Buffer.concat([rawHeader({ name: 'short' }), Buffer.from('abc'), Buffer.alloc(509)]),
    extension('L', `top/b${long}\0`),
    entry({ name: 'short' }, 'def'),
    entry({ name: 'c', prefix: 'top' }, 'ghi'),
    endOfArchive,
  ])
  const found: unknown[] = []
  for await (const { entry: read, content } of readTar(Readable.from([archive]))) {
    found.push([read.name, read.size, read.mtime, (await buffer(content)).toString()])
  }
  expect(found).toEqual([
    ['./top', 0, 1, ''],
    [`top/${long}`, 3, 12.5, 'abc'],
    [`top/b${long}`, 3, 1, 'def'],
    ['top/c', 3, 1, 'ghi'],
  ])
})

test('keeps a size of more than 11 octal digits', async () => {
  const size = 9 * 1024 ** 3
  const facts = {
    path: '',
    type: 'file',
    mode: 0o644,
    mtime: 0,
    size,
    linkname: '',
    uid: 0,
    gid: 0,
  }
  const one = { ...facts, content: Readable.from([]) } as Accepted
  const archive = writeTar(
    (async function* () {
      yield one
    })(),
    { root: 'top', mark: 'end' },
  )
  const { value } = await archive.next()
  const read = await readTar(Readable.from([value])).next()
  expect(read.value).toMatchObject({ entry: { size } })
})

test('skips FIFOs and devices, clears special mode bits, and reports both', async () => {
  const folder = await makeFolder()
  const parts = [
    top,
    entry({ name: './top/pipe', type: '6' }),
    entry({ name: './top/null', type: '3' }),
    entry({ name: './top/tool', mode: 0o6755 }, 'x'),
    endOfArchive,
  ]
  expect(await arrive(Readable.from([Buffer.concat(parts)]), join(folder, 'new'))).toEqual([
    'pipe is a FIFO',
    'null is a device',
    'tool was copied without its setuid bit and setgid bit',
  ])
  expect((await lstat(join(folder, 'new/tool'))).mode & 0o7777).toBe(0o755)
  expect(await readdir(join(folder, 'new'))).toEqual(['tool'])
})

test('overwrites existing files in place, and replaces existing links without following them', async () => {
  const folder = await makeFolder()
  await writeFile(join(folder, 'outside'), 'kept')
  await mkdir(join(folder, 'new'))
  await writeFile(join(folder, 'new/file'), 'old', { mode: 0o600 })
  await symlink('../outside', join(folder, 'new/link'))
  const { ino } = await lstat(join(folder, 'new/file'))
  const parts = [
    top,
    entry({ name: './top/file', mode: 0o644 }, 'new'),
    entry({ name: './top/link' }, 'new'),
    endOfArchive,
  ]
  await arrive(Readable.from([Buffer.concat(parts)]), join(folder, 'new'), { how: 'merge' })
  const file = await lstat(join(folder, 'new/file'))
  expect([file.ino, file.mode & 0o777]).toEqual([ino, 0o600])
  expect(await readFile(join(folder, 'new/file'), 'utf8')).toBe('new')
  expect(await readFile(join(folder, 'new/link'), 'utf8')).toBe('new')
  expect(await readFile(join(folder, 'outside'), 'utf8')).toBe('kept')
})

test('reports a missing file, and a file that cannot be read', async () => {
  const folder = await makeFolder()
  await expect(buffer(packed(folder, 'absent'))).rejects.toMatchObject({ kind: 'failed' })
  await mkdir(join(folder, 'top'))
  await writeFile(join(folder, 'top/secret'), 'x')
  await chmod(join(folder, 'top/secret'), 0)
  if (process.getuid?.() === 0) return // root can read every file
  await expect(buffer(packed(folder, 'top'))).rejects.toMatchObject({
    kind: 'failed',
    message: expect.stringMatching(/cannot read .*secret: permission denied/),
  })
})

test.each([
  ['plain', 'plain'],
  ['caf\u00c3\u00a9', 'café'],
  ['caf\u00e9', 'caf\\xe9'],
  ['a\nb', 'a\\u{a}b'],
  ['\u001b[31m', '\\u{1b}[31m'],
  ['x'.repeat(5000), `${'x'.repeat(1000)}…`],
])('shows the name %j as %s', (name, text) => expect(showName(name)).toBe(text))
