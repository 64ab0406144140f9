import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { expect, onTestFinished, test } from 'vitest'
import { openBuildContext } from '../../../../src/operations/docker/on-host/build-context.ts'

/** Creates a directory with these files; a name that ends in `/` is an empty directory. */
async function makeFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'context-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    await mkdir(name.endsWith('/') ? path : dirname(path), { recursive: true })
    if (!name.endsWith('/')) await writeFile(path, content)
  }
  return folder
}

interface Sent {
  readonly type: string
  readonly mode: number
  readonly owner: number
  readonly content: string
}

/** Resolves to the entries of an archive, keyed by name. */
async function unpack(archive: Readable): Promise<Map<string, Sent>> {
  const sent = new Map<string, Sent>()
  const unpacking = extract()
  archive.on('error', (error) => unpacking.destroy(error)).pipe(unpacking)
  for await (const entry of unpacking) {
    const { name, type, mode, uid, linkname } = entry.header
    const content = linkname ?? (await buffer(Readable.from(entry))).toString()
    entry.resume()
    sent.set(name.replace(/\/$/, ''), { type, mode, owner: uid, content })
  }
  return sent
}

/** Resolves to the names that a context sends, without the Dockerfile and .dockerignore. */
async function namesOf(folder: string, path = join(folder, 'Dockerfile')): Promise<string[]> {
  const { archive } = await openBuildContext(folder, { path })
  const names = [...(await unpack(archive)).keys()]
  return names.filter((name) => !/Dockerfile|\.dockerignore/.test(name)).sort()
}

const files = {
  Dockerfile: 'FROM bb',
  'a.txt': 'a',
  'b.md': 'b',
  'README.md': 'r',
  'src/a.txt': 'a',
  'src/deep/a.txt': 'a',
  'src/deep/b.md': 'b',
  '.hidden': 'h',
}
const everything = [
  '.hidden',
  'README.md',
  'a.txt',
  'b.md',
  'src',
  'src/a.txt',
  'src/deep',
  'src/deep/a.txt',
  'src/deep/b.md',
]

test.each([
  { rules: '', left: [] },
  { rules: '# *.md\n\n', left: [] },
  { rules: '*.md', left: ['README.md', 'b.md'] },
  { rules: '*.md\n!README.md', left: ['b.md'] },
  { rules: '!README.md\n*.md', left: ['README.md', 'b.md'] },
  { rules: '**/*.md', left: ['README.md', 'b.md', 'src/deep/b.md'] },
  { rules: '*/*.txt', left: ['src/a.txt'] },
  { rules: '/src/deep/', left: ['src/deep', 'src/deep/a.txt', 'src/deep/b.md'] },
  { rules: 'src\n!src/deep/a.txt', left: ['src', 'src/a.txt', 'src/deep', 'src/deep/b.md'] },
  { rules: './a.t?t\r\n.hidden ', left: ['a.txt', '.hidden'] },
  { rules: 'A.TXT', left: [] },
  { rules: '[ab].*', left: ['a.txt', 'b.md'] },
  { rules: 'src/**', left: ['src/a.txt', 'src/deep', 'src/deep/a.txt', 'src/deep/b.md'] },
])('applies the .dockerignore rules $rules', async ({ rules, left }) => {
  const folder = await makeFolder({ ...files, '.dockerignore': rules })
  expect(await namesOf(folder)).toEqual(everything.filter((name) => !left.includes(name)))
})

test('sends the Dockerfile and .dockerignore even if the rules exclude them', async () => {
  const folder = await makeFolder({ 'sub/My.Dockerfile': 'FROM bb', a: '', '.dockerignore': '*' })
  const { archive, dockerfile } = await openBuildContext(folder, {
    path: join(folder, 'sub/My.Dockerfile'),
  })
  expect(dockerfile).toBe('sub/My.Dockerfile')
  expect([...(await unpack(archive)).keys()].sort()).toEqual(['.dockerignore', 'sub/My.Dockerfile'])
})

test("prefers a Dockerfile's own ignore file to the .dockerignore of the directory", async () => {
  const folder = await makeFolder({
    ...files,
    '.dockerignore': '*.txt',
    'Other.Dockerfile': 'FROM bb',
    'Other.Dockerfile.dockerignore': 'src\n.hidden\n*.md',
  })
  expect(await namesOf(folder, join(folder, 'Other.Dockerfile'))).toEqual(['a.txt'])
})

test('keeps a Dockerfile from outside the directory out of the context', async () => {
  const folder = await makeFolder({ Dockerfile: 'FROM wrong', a: '' })
  const other = await makeFolder({ D: 'FROM right', 'D.dockerignore': 'a' })
  const context = await openBuildContext(folder, { path: join(other, 'D') })
  expect(context).toMatchObject({ dockerfile: undefined, rules: 'a' })
  expect(context.instructions.toString()).toBe('FROM right')
  expect([...(await unpack(context.archive)).keys()]).toEqual(['Dockerfile'])
  const typed = await openBuildContext(folder, { content: Buffer.from('FROM typed') })
  expect(typed).toMatchObject({ dockerfile: undefined, rules: undefined })
  expect([...(await unpack(typed.archive)).keys()].sort()).toEqual(['Dockerfile', 'a'])
})

test('keeps modes, empty directories, links and long names, but no owners or sockets', async () => {
  const long = `${'long/'.repeat(30)}name`
  const folder = await makeFolder({ Dockerfile: '', 'empty/': '', 'é☂ \n': 'odd', [long]: 'far' })
  await writeFile(join(folder, 'run'), 'x', { mode: 0o755 })
  await symlink('/etc/hostname', join(folder, 'link'))
  const server = createServer().listen(join(folder, 'socket'))
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const sent = await unpack((await openBuildContext(folder)).archive)
  expect(sent.get('run')).toEqual({ type: 'file', mode: 0o755, owner: 0, content: 'x' })
  expect(sent.get('empty')).toMatchObject({ type: 'directory' })
  expect(sent.get('link')).toMatchObject({ type: 'symlink', content: '/etc/hostname' })
  expect(sent.get(long)).toMatchObject({ content: 'far' })
  expect(sent.get('é☂ \n')).toMatchObject({ content: 'odd' })
  expect(sent.has('socket')).toBe(false)
})

test('refuses a directory without a Dockerfile, with a hint', async () => {
  await expect(openBuildContext(await makeFolder({ a: '' }))).rejects.toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('does not exist'),
    hint: expect.stringContaining('--file'),
  })
})
