import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { pack } from 'tar-stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { packTree, pathsBelow, unpackTree } from '../../src/operations/local-tree.ts'
import { type Tree, describeTree, makeTree, trees } from '../support/file-trees.ts'

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tree-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const packed = (folder: string, name: string) =>
  packTree(folder, { paths: pathsBelow(folder, name) })

test('any tree comes out of an archive as it went in', async () => {
  const root = await makeFolder()
  let number = 0
  await fc.assert(
    fc.asyncProperty(trees, async (tree: Tree) => {
      const [from, to] = [join(root, `from-${(number += 1)}`), join(root, `to-${number}`)]
      await Promise.all([mkdir(from), mkdir(to)])
      await makeTree(join(from, 'top'), tree)
      await unpackTree(packed(from, 'top'), to)
      expect(await describeTree(join(to, 'top'))).toEqual(await describeTree(join(from, 'top')))
    }),
    { numRuns: 60 },
  )
})

describe('an archive that breaks off', () => {
  test.each([1, 300, 1000, 2000, 70_000])('after %d bytes is an error', async (length) => {
    const folder = await makeFolder()
    await mkdir(join(folder, 'in'))
    await writeFile(join(folder, 'in/file'), Buffer.alloc(100_000, 'x'))
    const whole = await buffer(packed(folder, 'in'))
    const cut = Readable.from([whole.subarray(0, length)])
    await expect(unpackTree(cut, await makeFolder())).rejects.toThrow(/end of data/)
    const target = await makeFolder()
    const lost = new PassThrough()
    lost.write(whole.subarray(0, length))
    setImmediate(() => lost.destroy(new Error('the link is lost')))
    await expect(unpackTree(lost, target)).rejects.toThrow('the link is lost')
  })
})

describe('nothing is written outside of the folder', () => {
  test.each([
    { trick: 'dots', entries: [{ name: '../../escaped' }] },
    {
      trick: 'a link to elsewhere',
      entries: [{ name: 'link', type: 'symlink', linkname: '..' }, { name: 'link/escaped' }],
    },
    {
      trick: 'an absolute link',
      entries: [
        { name: 'link', type: 'symlink', linkname: '/tmp' },
        { name: 'link/fleet-escaped' },
      ],
    },
  ] as const)('by $trick', async ({ entries }) => {
    const parent = await makeFolder()
    const folder = join(parent, 'in')
    await mkdir(folder)
    const archive = pack()
    for (const entry of entries) archive.entry(entry, 'type' in entry ? '' : 'bad')
    archive.finalize()
    await unpackTree(Readable.from(archive), folder).catch(() => {})
    expect(await readdir(parent)).toEqual(['in'])
    expect(await readdir(tmpdir())).not.toContain('fleet-escaped')
  })
})

test('a file that is not there, and a file where a folder is, are told', async () => {
  const folder = await makeFolder()
  await expect(buffer(packed(folder, 'absent'))).rejects.toMatchObject({ kind: 'failed' })
  await writeFile(join(folder, 'name'), 'file')
  const other = await makeFolder()
  await mkdir(join(other, 'name/full'), { recursive: true })
  await expect(unpackTree(packed(folder, 'name'), other)).rejects.toThrow(/directory/i)
})
