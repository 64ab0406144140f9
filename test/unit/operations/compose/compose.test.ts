import * as fc from 'fast-check'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { hideRoot, hideRootIn } from '../../../../src/operations/compose/hide-root.ts'
import { interpolate } from '../../../../src/operations/compose/interpolate.ts'
import { type HostEntry, planShipping } from '../../../../src/operations/compose/plan-shipping.ts'
import {
  findLocalPaths,
  mapPaths,
  parseModel,
} from '../../../../src/operations/compose/project-model.ts'
import type { Entry, LocalEntry } from '../../../../src/operations/compose/read-local-files.ts'
import {
  localPath,
  relativePath,
  rootBelow,
  rootedPath,
} from '../../../../src/operations/compose/rooted-paths.ts'
import { mapVolumes, volumesTyped } from '../../../../src/operations/compose/run-volumes.ts'
import { scanComposeFile } from '../../../../src/operations/compose/scan-compose-file.ts'

const file = (digest: string, mode = 0o644): Entry => ({ type: 'file', mode, digest })
const local = (entry: Entry, isInMount = true): LocalEntry => ({
  ...entry,
  ...{ file: '/x', size: 1, modified: new Date(0), owner: { uid: 0, gid: 0 } },
  ...{ isInMount, isMountPoint: false },
})

/**
 * Plans how to ship the file `d/f` in the directory `d`. Each string is the content of a version, or undefined if the
 * version does not exist.
 */
const plan = (here?: string, base?: string, there?: string, isInMount = true) => {
  const folder: Entry = { type: 'folder', mode: 0o755 }
  return planShipping({
    local: new Map([
      ['d', local(folder)],
      ...(here === undefined ? [] : [['d/f', local(file(here), isInMount)] as const]),
    ]),
    shipped: new Map([
      ['d', folder],
      ...(base === undefined ? [] : [['d/f', file(base)] as const]),
    ]),
    host: new Map<string, HostEntry>([
      ['d', { type: 'folder' }],
      ['d/f', there === undefined ? { type: 'nothing' } : { type: 'file', digest: there }],
    ]),
    isHere: () => false,
  })
}

describe('planning which files to send to a host', () => {
  const contents = ['one', 'two', 'three'] as const
  const content = fc.option(fc.constantFrom(...contents), { nil: undefined })

  test('never overwrites or removes content that fleet did not send', () => {
    expect.hasAssertions()
    fc.assert(
      fc.property(content, content, content, fc.boolean(), (here, base, there, isInMount) => {
        const { send, remove } = plan(here, base, there, isInMount)
        const isTheirs = there !== undefined && there !== base
        expect(isTheirs && send.size + remove.length > 0).toBe(false)
      }),
    )
  })

  test('sends local changes, or reports them as conflicts', () => {
    expect.hasAssertions()
    fc.assert(
      fc.property(content, content, content, (here, base, there) => {
        const { send, remove, conflicts } = plan(here, base, there)
        const isDone =
          here === base ||
          here === there ||
          send.has('d/f') ||
          remove.includes('d/f') ||
          conflicts.includes('d/f')
        const isTheirs = here === undefined && there !== base // a local removal must not delete changed content
        expect(isDone || isTheirs).toBe(true)
      }),
    )
  })

  test.each([
    ['sends a new file', ['one'], { send: ['d/f'] }],
    ['does not send a file that the host already has', ['one', undefined, 'one'], {}],
    ['does not restore a file that a container removed', ['one', 'one'], {}],
    [
      'restores a missing file that no container mounts',
      ['one', 'one', undefined, false],
      { send: ['d/f'] },
    ],
    [
      'restores a file that a container removed once it has changed locally',
      ['two', 'one'],
      { send: ['d/f'] },
    ],
    ['removes a file that was removed locally', [undefined, 'one', 'one'], { remove: ['d/f'] }],
    [
      'reports a conflict if both sides changed a file',
      ['one', 'two', 'three'],
      { conflicts: ['d/f'] },
    ],
    [
      'reports a conflict if both sides created a file',
      ['one', undefined, 'three'],
      { conflicts: ['d/f'] },
    ],
  ] as const)(
    '%s',
    (
      _name,
      args,
      {
        send = [],
        remove = [],
        conflicts = [],
      }: Partial<Record<'send' | 'remove' | 'conflicts', readonly string[]>>,
    ) => {
      const [here, base, there, isInMount] = args as readonly [string?, string?, string?, boolean?]
      const done = plan(here, base, there, isInMount)
      expect({ ...done, send: [...done.send.keys()] }).toMatchObject({ send, remove, conflicts })
    },
  )

  test('sets a mode if only the mode changed', () => {
    const { send, chmod } = planShipping({
      local: new Map([['f', local(file('one', 0o755))]]),
      shipped: new Map([['f', file('one', 0o644)]]),
      host: new Map([['f', { type: 'file', digest: 'one' }]]),
      isHere: () => false,
    })
    expect([[...send.keys()], [...chmod.keys()]]).toEqual([[], ['f']])
  })

  test('keeps a directory that a container replaced, and reports a conflict once a file in it changed', () => {
    const folder: Entry = { type: 'folder', mode: 0o755 }
    const replaced = (digest: string) =>
      planShipping({
        local: new Map([
          ['d', local(folder)],
          ['d/e', local(folder)],
          ['d/e/f', local(file(digest))],
        ]),
        shipped: new Map([
          ['d', folder],
          ['d/e', folder],
          ['d/e/f', file('one')],
        ]),
        host: new Map<string, HostEntry>([
          ['d', { type: 'link', target: '/etc' }],
          ['d/e/f', { type: 'file', digest: 'of /etc' }],
        ]),
        isHere: () => false,
      })
    expect(replaced('one')).toMatchObject({ conflicts: [], remove: [] })
    expect(replaced('two')).toMatchObject({ conflicts: ['d'] })
    expect(replaced('two').send.size).toBe(0)
  })
})

test('interpolates variables as compose does', () => {
  const values = { A: 'a', EMPTY: '' }
  const cases = {
    '$A-${A}-$$A': 'a-a-$A',
    '${EMPTY:-x}${EMPTY-x}${NONE-y}${NONE:-${A}}': 'xya',
    '${A:+set}${NONE:+set}${EMPTY+set}': 'setset',
    '${A:?wrong}${NONE}${A': 'a${A',
    '100$ and $1': '100$ and $1',
  }
  for (const [written, expected] of Object.entries(cases))
    expect(interpolate(written, values)).toBe(expected)
})

test('converts paths below a root back to the original paths', () => {
  const name = fc.stringMatching(/^[a-z .]{1,8}$/).filter((part) => !/^\.{1,2}$/.test(part))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 5 }), fc.array(name, { maxLength: 5 }), (one, two) => {
      const [path, cwd] = [`/${one.join('/')}`, `/${two.join('/')}`]
      expect(localPath('/r/root', rootedPath('/r/root', path))).toBe(path)
      const below = rootedPath('/r/root', cwd)
      expect(localPath('/r/root', new URL(`file://${below}/`).pathname)).toBeDefined()
      expect(relativePath(cwd, path).startsWith('/')).toBe(false)
    }),
  )
  expect(localPath('/r/root', '/r/rooted')).toBeUndefined()
  expect(localPath('/r/root', '/r/root/../etc')).toBe('/etc')
})

test('resolves a relative path above a temporary root to a path of this computer', () => {
  const root = rootBelow('/tmp/run')
  const folder = rootedPath(root, '/home/ana')
  for (const count of [2, 3, 9, 20]) {
    const path = posix.join(folder, '../'.repeat(count), 'srv/x')
    expect(localPath(root, path)).toBe('/srv/x')
    expect(hideRoot(root, `stat ${path}: no such file`)).toBe('stat /srv/x: no such file')
  }
  expect(localPath(root, posix.join(folder, '../'.repeat(9)))).toBe('/')
  expect(localPath(root, '/tmp/running/x')).toBeUndefined()
  expect(localPath(root, rootedPath(root, '/up/a'))).toBe('/up/a')
})

test("removes the root from compose's output, even across chunk boundaries", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('/r/r', '/r', 'r/', '/', '\n', 'é'), { maxLength: 12 }),
      async (parts) => {
        const output = Readable.from(parts.map((part) => Buffer.from(part)))
        const shown = await text(output.pipe(hideRootIn('/r/r')))
        expect(shown).toBe(parts.join('').replaceAll('/r/r', ''))
      },
    ),
  )
})

test('lists the files and directories that a Compose file refers to', () => {
  const scanned = scanComposeFile(`
include: [more.yaml, { path: [a.yaml], project_directory: sub, env_file: i.env }]
x: &x { env_file: [one.env, { path: two.env, required: false }] }
services:
  a: { <<: *x, image: b, volumes: ['./v:/v'], extends: { file: base.yaml, service: s } }
  b: !reset { label_file: ./l }
`)
  expect(scanned.reads).toEqual([
    'more.yaml',
    'a.yaml',
    'i.env',
    'one.env',
    'two.env',
    'base.yaml',
    './l',
  ])
  expect(scanned.folders).toEqual(['sub'])
  expect(scanned.texts).toContain('./v:/v')
  expect(scanComposeFile('{ not: [yaml')).toBeDefined()
})

test('finds and replaces the local paths of a model', () => {
  const model = parseModel(
    JSON.stringify({
      name: 'p',
      services: {
        a: {
          build: {
            context: '/r/w',
            dockerfile: 'D',
            additional_contexts: { x: '/r/x', y: 'docker-image://y' },
          },
          security_opt: ['seccomp:s.json', 'seccomp:unconfined', 'no-new-privileges'],
          volumes: [
            { type: 'bind', source: '/r/w/p/d' },
            { type: 'bind', source: '/w/p/abs' },
            { type: 'bind', source: '/var/run' },
            { type: 'volume', source: 'v' },
          ],
        },
      },
      volumes: { v: { driver_opts: { o: 'bind', device: '/r/w/dev' } }, n: null },
      secrets: { s: { file: '/r/w/s' } },
    }),
  )
  if (model === undefined) throw new Error('it is a model')
  const found = findLocalPaths(model, { root: '/r', folder: '/w/p' })
  expect([...found.mounts].sort()).toEqual(['/w/dev', '/w/p/abs', '/w/p/d', '/w/s'])
  expect(found.contexts).toEqual([{ folder: '/w', dockerfile: '/w/D' }, { folder: '/x' }])
  expect([...found.files]).toEqual(['/w/p/s.json'])
  const mapped = mapPaths(model, (path, use) => (use === 'mount' ? `/m${path}` : path))
  expect(mapped.services?.['a']?.volumes?.[0]?.source).toBe('/m/r/w/p/d')
  expect(mapped.services?.['a']?.build?.context).toBe('/r/w')
  for (const text of ['', '[]', '{}', '{"name":1}', '{"name":"a","services":[]}']) {
    expect(parseModel(text)).toBeUndefined()
  }
})

const flag = (value: string) => ({ kind: 'flag', name: '--volume', value }) as const

test('distinguishes volumes of `run` that are relative paths from other volumes', () => {
  const words = [flag('./a:/b'), flag('..:/c'), flag('name:/d'), flag('/abs:/e')]
  expect(volumesTyped(words, '/w/p')).toEqual(['/w/p/a', '/w'])
  expect(mapVolumes(words, '/w/p', (path) => `/r${path}`)).toEqual([
    flag('/r/w/p/a:/b'),
    flag('/r/w:/c'),
    flag('name:/d'),
    flag('/abs:/e'),
  ])
})
