import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  formatRecord,
  mirrorAt,
  shipFiles,
} from '../../../../../src/operations/compose/host-mirror.ts'
import { readLocalFiles } from '../../../../../src/operations/compose/read-local-files.ts'
import {
  pruneObjects,
  restoreObjects,
  saveObjects,
} from '../../../../../src/operations/stacks/host-store/objects.ts'
import { localFileAt, storedPath } from '../../../../../src/operations/stacks/stack-files.ts'
import { openLocal } from '../../../../../src/transport/local/local.ts'

let outer: string
beforeEach(async () => {
  outer = await mkdtemp(join(tmpdir(), 'objects-'))
})
afterEach(() => rm(outer, { recursive: true, force: true }))

const here = (name: string) => join(outer, 'clone', name)
const there = (name: string) => join(outer, 'store/root/files', name)
const host = { name: 'web-1', transport: openLocal(process.env) }
const mirror = () =>
  mirrorAt(host, join(outer, 'store'), (path) => localFileAt(join(outer, 'clone'), path))

async function write(
  place: (name: string) => string,
  files: Record<string, string>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(place(name)), { recursive: true })
    await writeFile(place(name), content)
  }
}

/** Ships the directory `data` of the clone, and resolves to the record of the release. */
async function ship(): Promise<string> {
  const { files } = await readLocalFiles({ mounts: [here('data')] })
  const stored = new Map(
    [...files.values()].map((entry) => [storedPath(join(outer, 'clone'), entry.file), entry]),
  )
  const shipped = await shipFiles(mirror(), stored)
  await saveObjects(mirror(), shipped)
  return formatRecord(shipped)
}

const contentOf = async (name: string): Promise<string> => readFile(there(name), 'utf8')

const storedObjects = () => readdir(join(outer, 'store/objects'))

describe('the files of an earlier release', () => {
  test('are restored from the host, without changing what a container wrote', async () => {
    await write(here, {
      'data/conf': 'old',
      'data/sub/gone': 'g',
      "data/it's": 'q',
      'data/run': 'x',
    })
    await chmod(here('data/run'), 0o755)
    await symlink('conf', here('data/link'))
    const first = await ship()
    await write(here, { 'data/conf': 'new', 'data/added': 'a', 'data/sub/more': 'm' })
    await rm(here('data/sub/gone'))
    await rm(here('data/link'))
    await write(there, { 'data/db': 'of the container' })
    const second = await ship()
    expect(await contentOf('data/conf')).toBe('new')

    await rm(here('data'), { recursive: true })
    await restoreObjects(mirror(), first)
    expect((await readdir(there('data'))).toSorted()).toEqual(
      ['conf', 'db', "it's", 'link', 'run', 'sub'].toSorted(),
    )
    expect(await contentOf('data/conf')).toBe('old')
    expect(await contentOf('data/sub/gone')).toBe('g')
    expect(await contentOf('data/db')).toBe('of the container')
    expect(await readlink(there('data/link'))).toBe('conf')
    expect((await stat(there('data/run'))).mode & 0o777).toBe(0o755)

    await restoreObjects(mirror(), second)
    expect(await contentOf('data/conf')).toBe('new')
    expect(await contentOf('data/added')).toBe('a')
  })

  test('do not replace files that a container has changed', async () => {
    await write(here, { 'data/conf': 'old', 'data/db': 'seed' })
    const first = await ship()
    await write(here, { 'data/conf': 'new' })
    await ship()
    await write(there, { 'data/db': 'of the container', 'data/conf': 'also' })
    await restoreObjects(mirror(), first)
    expect(await contentOf('data/db')).toBe('of the container')
    expect(await contentOf('data/conf')).toBe('also')
  })

  test('are removed once no release refers to them', async () => {
    await write(here, { 'data/conf': 'old' })
    const first = await ship()
    await write(here, { 'data/conf': 'new' })
    const second = await ship()
    expect(await storedObjects()).toHaveLength(2)
    await pruneObjects(mirror(), [first, second])
    expect(await storedObjects()).toHaveLength(2)
    await pruneObjects(mirror(), [second])
    expect(await storedObjects()).toHaveLength(1)
    await expect(restoreObjects(mirror(), first)).rejects.toMatchObject({ kind: 'failed' })
    expect(await contentOf('data/conf')).toBe('new')
  })
})
