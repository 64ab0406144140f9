import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { stackOf } from '../../../src/machine/stacks.ts'
import {
  type LocalDocker,
  askConfig,
  createWorkDirectory,
} from '../../../src/operations/compose/local-session.ts'
import { type ResolvedStack, resolveStack } from '../../../src/operations/stacks/resolve-stack.ts'
import { readStackFiles } from '../../../src/operations/stacks/stack-files.ts'
import { dockerPlugins } from '../../support/docker/docker-plugins.ts'

const { 'docker-compose': plugin } = dockerPlugins

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

/** Writes the files of a clone into a new directory. Resolves to its path. */
async function clone(files: Readonly<Record<string, string>>): Promise<string> {
  const outer = await realpath(await mkdtemp(join(tmpdir(), 'clone-')))
  folders.push(outer)
  const folder = join(outer, 'infra')
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  return folder
}

const ask: LocalDocker['ask'] = ([, ...args], { cwd, env }) =>
  new Promise((resolve) => {
    const options = { cwd, env: { ...env, PATH: process.env['PATH'] } as NodeJS.ProcessEnv }
    const child = execFile(plugin ?? '', args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, stdout, stderr }),
    )
    child.stdin?.end()
  })

const serviceOf = (resolved: ResolvedStack) => resolved.modelFor('/store').services['a']

/** Resolves the stack `shop` of a clone with the local compose. */
async function resolveIn(
  folder: string,
  { env = {}, ...more }: { env?: Record<string, string>; profiles?: string[] } = {},
): Promise<ResolvedStack> {
  const stack = stackOf('shop', { compose: 'shop/compose.yaml', on: 'all', ...more })
  const read = await readStackFiles(join(folder, 'machines.yaml'), stack, env)
  await using workplace = await createWorkDirectory()
  const streams = { cwd: folder, env: read.variables }
  const { command, project } = read
  const config = askConfig({
    ...{ command, project, docker: { ask }, stdin: undefined, workDirectory: workplace, streams },
  })
  return await resolveStack(read, { root: workplace.root, ask: config })
}

const shop = {
  'shop/compose.yaml': `
services:
  web:
    image: app:1
    command: echo $$HOME \${GREETING}
    env_file: [web.env]
    volumes: ['./data:/data', '../common:/common', 'vol:/vol', '/srv/host:/host']
    configs: [conf]
    secrets: [token]
  more: { image: app:2, profiles: [more] }
configs: { conf: { file: ./conf } }
secrets: { token: { environment: TOKEN } }
volumes: { vol: {} }
`,
  'shop/web.env': 'FROM_FILE=$$1\n',
  'shop/conf': 'c',
  'shop/data/a': '1',
  'common/b': '2',
  'shop/not-mounted': 'x',
}
const env = { GREETING: 'hello', TOKEN: 't', OTHER: 'never' }

const shopLabel = async (files: Record<string, string>, more = {}) =>
  (await resolveIn(await clone({ ...shop, ...files }), { env: { ...env, ...more } })).modelFor(
    '/store',
  ).services['web']?.labels?.['fleet.inputs']

describe.skipIf(plugin === undefined)('a stack resolved by compose', () => {
  test('is the same in every clone, with paths on the host', async () => {
    const [one, other] = [await clone(shop), await clone(shop)]
    const resolved = await resolveIn(one, { env })
    const model = resolved.modelFor('/store')
    expect((await resolveIn(other, { env })).modelFor('/store')).toEqual(model)
    const { web } = model.services
    expect(Object.keys(model.services)).toEqual(['web'])
    expect(web?.['command']).toEqual(['echo', '$$HOME', 'hello'])
    expect(web?.environment).toEqual({ FROM_FILE: expect.stringContaining('1') })
    expect(web?.volumes?.map(({ source }) => source)).toEqual([
      '/store/files/shop/data',
      '/store/files/common',
      'vol',
      '/srv/host',
    ])
    expect(model.configs).toMatchObject({ conf: { file: '/store/files/shop/conf' } })
    expect(web?.labels?.['fleet.inputs']).toMatch(/^[0-9a-f]{64}$/)
    expect([...resolved.files.keys()].toSorted()).toEqual([
      'files/common',
      'files/common/b',
      'files/shop/conf',
      'files/shop/data',
      'files/shop/data/a',
    ])
    expect(JSON.stringify(model)).not.toContain(one)
    const withMore = await resolveIn(one, { env, profiles: ['more'] })
    expect(Object.keys(withMore.modelFor('/store').services)).toEqual(['more', 'web'])
  })

  test('differs if a file or the value of a variable differs', async () => {
    const first = await shopLabel({})
    expect(await shopLabel({ 'shop/not-mounted': 'y' })).toBe(first)
    for (const [files, variables] of [
      [{ 'shop/conf': 'd' }],
      [{ 'common/b': '3' }],
      [{ 'shop/data/new': '' }],
      [{}, { TOKEN: 'u' }],
    ] as const) {
      expect(await shopLabel(files, variables)).not.toBe(first)
    }
  })

  test('lists every file of this computer that it uses', async () => {
    const folder = await clone({
      'shop/compose.yaml': `
x-files: &files [../../outside.env]
include: [more/compose.yaml]
services:
  a: { image: a, env_file: *files }
  b: { image: a, extends: { file: base.yaml, service: base } }
  c: { image: a, configs: [key], build: ../../context }
configs: { key: { file: ../../.ssh/id_rsa } }
`,
      'shop/base.yaml': 'services: { base: { image: a, env_file: base.env } }',
      'shop/base.env': 'B=1',
      'shop/more/compose.yaml': 'services: { d: { image: a, env_file: ../../../included.env } }',
      '../outside.env': 'O=1',
      '../included.env': 'I=1',
      '../.ssh/id_rsa': 'key',
      '../context/Dockerfile': 'FROM a',
    })
    const { taken } = await resolveIn(folder)
    const outer = dirname(folder)
    expect(taken.filter((path) => !path.startsWith(`${folder}/`)).toSorted()).toEqual([
      `${outer}/.ssh/id_rsa`,
      `${outer}/context`,
      `${outer}/context/Dockerfile`,
      `${outer}/included.env`,
      `${outer}/outside.env`,
    ])
    expect(taken).toEqual(
      expect.arrayContaining(
        ['compose.yaml', 'base.yaml', 'base.env', 'more/compose.yaml'].map(
          (name) => `${folder}/shop/${name}`,
        ),
      ),
    )
  })

  test('uses no variables except those named in its files, and no settings of compose', async () => {
    const folder = await clone({
      'shop/compose.yaml': `
services:
  a:
    image: a
    environment: ["AWS\\x5fSECRET", GREETING, COMPOSE_PROFILES, "PASSED=\${COMPOSE_PROFILES-none}"]
  b: { image: a, profiles: [more] }
`,
    })
    const secrets = { AWS_SECRET: 's', GREETING: 'hello', COMPOSE_PROFILES: 'more' }
    const { services } = (await resolveIn(folder, { env: secrets })).modelFor('/store')
    expect(services['a']?.environment).toEqual({ GREETING: 'hello', PASSED: 'none' })
    expect(Object.keys(services)).toEqual(['a'])
  })

  test.each([
    ['env_file: ["${X-a}.env"]', /in service a, the env_file path contains a variable/],
    ['command: [', /Compose cannot read stack shop/],
    ['profiles: [x]', /has no enabled services/],
    ['build: { context: ., ssh: [default] }', /build for service a uses ssh/],
  ])('is refused with %s', async (line, why) => {
    const folder = await clone({
      'shop/compose.yaml': `services:\n  a:\n    image: a\n    ${line}\n`,
      'shop/a.env': '',
    })
    const message = await resolveIn(folder).then(() => '', String)
    expect(message).toMatch(why)
    expect(message).not.toContain('/root/')
  })

  test('mounts files with a dollar sign in their names', async () => {
    const files = {
      'shop/compose.yaml': "services: { a: { image: a, volumes: ['./a$$b:/b', './$${x}:/x'] } }\n",
      'shop/a$b': '1',
      'shop/${x}/y': '2',
    }
    const folder = await clone(files)
    const resolved = await resolveIn(folder)
    expect([...resolved.files.keys()].toSorted()).toEqual([
      'files/shop/${x}',
      'files/shop/${x}/y',
      'files/shop/a$b',
    ])
    const a = serviceOf(resolved)
    expect(a?.volumes?.map(({ source }) => source)).toEqual([
      '/store/files/shop/a$$b',
      '/store/files/shop/$${x}',
    ])
    await writeFile(join(folder, 'shop/a$b'), '3')
    expect(serviceOf(await resolveIn(folder))?.labels).not.toEqual(a?.labels)
  })

  test.each([8, 30])('resolves a path with %i times ".." to one below /', async (count) => {
    const path = `${'../'.repeat(count)}srv/fleet-none`
    const folder = await clone({
      'shop/compose.yaml': `services: { a: { image: a, volumes: ['${path}:/x'] } }\n`,
    })
    const resolved = await resolveIn(folder)
    expect(serviceOf(resolved)?.volumes?.[0]?.source).toBe('/store/outside/srv/fleet-none')
    expect(resolved.taken).toContain('/srv/fleet-none')
  })

  test.each([
    ['volumes: ["../..:/x"]', 'a directory that contains your home directory'],
    ['volumes: ["../../home:/x"]', 'your home directory'],
    ['volumes: ["./link:/x"]', 'your home directory'],
    // more levels than there are parent directories
    [`volumes: ["${'../'.repeat(20)}.:/x"]`, "this computer's root directory"],
    [`volumes: ["${'../'.repeat(20)}etc:/x"]`, 'a system directory'],
    [`volumes: ["${'../'.repeat(20)}proc/self:/x"]`, 'part of a kernel file system'],
    [`build: ${'../'.repeat(20)}.`, "this computer's root directory"],
  ])('does not copy too much of this computer: %s', async (line, why) => {
    const folder = await clone({
      'shop/compose.yaml': `services:\n  a:\n    image: a\n    ${line}\n`,
      '../home/.ssh/id_rsa': 'key',
    })
    const home = join(dirname(folder), 'home')
    await symlink(home, join(folder, 'shop/link'))
    await expect(resolveIn(folder, { env: { HOME: home } })).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringMatching(
        new RegExp(
          `^stack shop: service a uses /.*, which is ${why}; fleet does not copy this path`,
        ),
      ),
      hint: expect.stringContaining('for a path on the host, use an absolute path'),
    })
  })

  test.each([
    'include: ["${X-a}.yaml"]',
    'x-a: &a [a.yaml]\ninclude: *a',
    '<<: { include: [a.yaml] }',
  ])('is refused with the include %s', async (text) => {
    const files = { 'shop/compose.yaml': `${text}\nservices: {}\n`, 'shop/a.yaml': 'services: {}' }
    await expect(resolveIn(await clone(files))).rejects.toThrow(
      /"include" in .*compose.yaml contains a/,
    )
  })
})
