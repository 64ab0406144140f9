import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stackOf } from '../../../../src/machine/stacks.ts'
import { mirrorAt } from '../../../../src/operations/compose/host-mirror.ts'
import { readLocalFiles } from '../../../../src/operations/compose/read-local-files.ts'
import { type Deployment, deployMachine } from '../../../../src/operations/stacks/deploy-machine.ts'
import { lockStack } from '../../../../src/operations/stacks/host-store/lock.ts'
import { readReleases } from '../../../../src/operations/stacks/host-store/releases.ts'
import { keptReleases } from '../../../../src/operations/stacks/restorable-releases.ts'
import { rollbackMachine } from '../../../../src/operations/stacks/rollback-machine.ts'
import type { ResolvedStack } from '../../../../src/operations/stacks/resolve-stack.ts'
import { digestInputs } from '../../../../src/operations/stacks/service-inputs.ts'
import { localFileAt, storedPath } from '../../../../src/operations/stacks/stack-files.ts'
import {
  type StackModel,
  type StackService,
  deployedModel,
} from '../../../../src/operations/stacks/stack-model.ts'
import { openLocal } from '../../../../src/transport/local/local.ts'
import { type FakeDocker, fakeDocker, imageId } from '../../../support/stacks/fake-engine.ts'

let outer: string
let docker: FakeDocker
beforeEach(async () => {
  outer = await mkdtemp(join(tmpdir(), 'deploy-'))
  await mkdir(join(outer, 'clone'))
  docker = fakeDocker()
  docker.registry.set('app:1', imageId('a')).set('app:2', imageId('b'))
})
afterEach(() => rm(outer, { recursive: true, force: true }))

const clone = (name = ''): string => join(outer, 'clone', name)
const host = { name: 'web-1', transport: openLocal(process.env) }
const owner = { by: 'ana@laptop', at: '2026-01-02T03:04:05Z', why: 'deploy shop' }
const mirror = () => mirrorAt(host, join(outer, 'store'), (path) => localFileAt(clone(), path))
const noModel: StackModel = { name: 'shop', services: {} }
const stack = stackOf('shop', { compose: 'compose.yaml', on: 'all', wait: 7 })
const releases = () => readReleases(host, join(outer, 'store'))
const confOnHost = () => readFile(join(outer, 'store/root/files/conf'), 'utf8')

/** Resolves the stack with a service `web` that mounts the file `conf`. */
async function resolved(service: StackService, conf: string): Promise<ResolvedStack> {
  await writeFile(clone('conf'), conf)
  const { files: found } = await readLocalFiles({ mounts: [clone('conf')] })
  const files = new Map(
    [...found.values()].map((entry) => [storedPath(clone(), entry.file), entry]),
  )
  return {
    ...{ files, taken: [], skipped: [] },
    paths: { mounts: new Set(), contexts: [], files: new Set() },
    builds: { images: new Map(), files: new Map(), dockerfiles: [], modelFor: () => noModel },
    modelFor(root) {
      const volumes = [{ type: 'bind', source: `${root}/files/conf`, target: '/conf' }]
      const model: StackModel = {
        name: 'shop',
        services: { web: { image: 'app:1', volumes, ...service } },
        secrets: { token: { environment: 'TOKEN' } as object },
      }
      const fileOf = (path: string) => path.slice(root.length + 1)
      return deployedModel(model, digestInputs(model, { files, fileOf, env: {} }))
    },
  }
}

async function deploy(
  service: StackService = {},
  {
    conf = 'one',
    signal = new AbortController().signal,
    ...more
  }: Partial<Deployment> & { conf?: string; signal?: AbortSignal } = {},
) {
  const steps: string[] = []
  const { engine, compose } = docker
  const deployed = await deployMachine(
    { machine: 'web-1', mirror: mirror(), engine, compose },
    {
      ...{ stack, owner, commit: 'abc', variables: { TOKEN: 't', OTHER: 'o' } },
      ...{ resolved: await resolved(service, conf), ...more },
    },
    { progress: (step) => steps.push(step), signal },
  )
  return { ...deployed, steps }
}

describe('deploying to one machine', () => {
  test('pulls, copies, starts and records a release; a second deployment has nothing to do', async () => {
    expect(await deploy()).toEqual({
      ...{ machine: 'web-1', stack: 'shop', state: 'deployed', release: 1 },
      changes: [{ service: 'web', action: 'create', why: 'the service has no container' }],
      steps: [
        'lock the stack',
        'compare containers',
        'pull images',
        'copy files',
        'start containers',
      ],
    })
    expect(await confOnHost()).toBe('one')
    expect(docker.images.get('fleet-release/shop/web:1')).toBe(imageId('a'))
    expect(docker.runs.at(-1)).toEqual({
      words: 'up --detach --wait --wait-timeout=7 --remove-orphans --no-build --pull=never',
      variables: { TOKEN: 't' },
    })
    expect(await releases()).toMatchObject({
      current: 1,
      all: [{ state: 'ready', by: 'ana@laptop', commit: 'abc', images: { web: imageId('a') } }],
    })
    const { length } = docker.runs
    expect(await deploy()).toMatchObject({ state: 'unchanged', release: 1, changes: [] })
    expect(docker.runs).toHaveLength(length)
  })

  test('restores the previous release after a failure, and shows the reason', async () => {
    await deploy()
    const [before] = docker.containers.values()
    docker.registry.clear()
    docker.images.set('app:1', imageId('c'))
    await expect(deploy({ command: 'fail' }, { conf: 'two' })).rejects.toMatchObject({
      kind: 'failed',
      message: [
        'stack shop was not deployed: container shop-web-1 is unhealthy',
        'last log lines of shop-web-1:',
        '  it broke',
        'Release 1 was restored.',
      ].join('\n'),
    })
    const [after] = docker.containers.values()
    expect(after).toMatchObject({ hash: before?.hash, image: imageId('a'), health: 'healthy' })
    expect(await confOnHost()).toBe('one')
    expect(await releases()).toMatchObject({
      current: 1,
      all: [{ state: 'ready' }, { state: 'failed', reason: 'container shop-web-1 is unhealthy' }],
    })
    expect(await deploy({ command: 'ok' }, { conf: 'two' })).toMatchObject({ release: 3 })
  })

  test('fails if compose exits without an error before all containers are healthy', async () => {
    await deploy()
    await expect(deploy({ command: 'slow' }, { conf: 'two' })).rejects.toThrow(
      /not deployed: container shop-web-1 did not become healthy within 7 s\nlast log lines of shop-web-1:[^]*Release 1 was restored/,
    )
    expect(await releases()).toMatchObject({ current: 1, all: [{}, { state: 'failed' }] })
  })

  test('fails if a container exits and is restarted', async () => {
    await deploy()
    await expect(deploy({ command: 'crash' }, { conf: 'two' })).rejects.toThrow(
      /not deployed: container shop-web-1 is restarting\nlast log lines of shop-web-1:[^]*Release 1 was restored/,
    )
  })

  test('keeps the containers of a first deployment that fails', async () => {
    await expect(deploy({ command: 'fail' })).rejects.toThrow(/There is no earlier release/)
    expect(docker.containers.size).toBe(1)
  })

  test('restores the previous release when interrupted, and can be repeated', async () => {
    await deploy()
    const stopping = new AbortController()
    const locks: unknown[] = []
    docker.beforeUp = async () => {
      stopping.abort(new Error('cancelled'))
      const other = lockStack(host, { stack: 'shop', folder: join(outer, 'store'), owner })
      locks.push(await other.catch(({ kind }: { kind: string }) => kind))
    }
    await expect(
      deploy({ command: 'x' }, { conf: 'two', signal: stopping.signal }),
    ).rejects.toThrow(/not deployed: cancelled\nRelease 1 was restored/)
    expect(locks).toEqual(['locked', 'locked']) // the stack is locked even while the release is restored
    expect(await confOnHost()).toBe('one')
    docker.beforeUp = async () => {}
    expect(await deploy({ command: 'x' }, { conf: 'two' })).toMatchObject({ state: 'deployed' })
    expect(await confOnHost()).toBe('two')
  })

  test('finishes a release that was killed before its record was complete', async () => {
    await deploy()
    const file = join(outer, 'store/releases/1/release.json')
    const record = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, JSON.stringify({ ...record, state: 'deploying' }))
    await rm(join(outer, 'store/releases/current'))
    expect(await deploy()).toMatchObject({ state: 'deployed', release: 2, changes: [] })
    expect((await releases()).current).toBe(2)
  })

  test('repeats a deployment that was killed after it changed files, even if the containers match', async () => {
    await deploy()
    expect(docker.isUnfinished()).toBe(false)
    // Simulates SIGKILL during the deployment.
    docker.beforeUp = () => Promise.reject(new Error('killed'))
    await expect(deploy({}, { conf: 'two' })).rejects.toThrow(/Release 1 could not be restored/)
    docker.beforeUp = async () => {}
    await writeFile(join(outer, 'store/root/files/conf'), 'two')
    expect(docker.isUnfinished()).toBe(true)
    expect(await deploy({}, { conf: 'one' })).toMatchObject({ state: 'deployed', changes: [] })
    expect(docker.isUnfinished()).toBe(false)
    expect(await deploy({}, { conf: 'one' })).toMatchObject({ state: 'unchanged' })
  })

  test('marks the stack as unfinished until its containers run, also in a rollback', async () => {
    const marks: boolean[] = []
    docker.beforeUp = async () => void marks.push(docker.isUnfinished())
    await deploy() // there are no containers to mark yet
    await deploy({}, { conf: 'two' })
    await deploy({ command: 'other' }, { conf: 'two' }) // no files change
    await rollback(1)
    expect(marks).toEqual([false, true, false, true])
    expect(docker.isUnfinished()).toBe(false)
  })

  test('completes the replacement of a container during which compose was killed', async () => {
    await deploy()
    const [service = '', container] = [...docker.containers][0] ?? []
    if (container === undefined) throw new Error('no container')
    docker.containers.set(service, { ...container, name: `0123456789ab_shop-${service}-1` })
    await rm(join(outer, 'store/releases/current'))
    await deploy()
    expect(docker.containers.get(service)?.name).toBe(`shop-${service}-1`)
  })

  test('resumes a paused container', async () => {
    await deploy()
    const [service = '', container] = [...docker.containers][0] ?? []
    if (container === undefined) throw new Error('no container')
    docker.containers.set(service, { ...container, state: 'paused' })
    expect(await deploy()).toMatchObject({
      state: 'deployed',
      changes: [{ action: 'start', why: 'the container is paused' }],
    })
    expect(docker.containers.get(service)).toEqual(container)
  })

  test('requires an image that the host has or can pull', async () => {
    await expect(deploy({ image: 'app:9' })).rejects.toThrow(
      'web-1 does not have the image app:9 and cannot pull it: no registry',
    )
    expect(docker.containers.size).toBe(0)
    expect((await releases()).all).toEqual([])
  })

  test('is refused while another user is deploying', async () => {
    await using lock = await lockStack(host, { stack: 'shop', folder: join(outer, 'store'), owner })
    expect(lock).toBeDefined()
    await expect(deploy()).rejects.toMatchObject({ kind: 'locked' })
  })

  test('keeps only the latest releases and their images', async () => {
    for (let number = 1; number <= keptReleases + 2; number += 1) {
      await deploy({ command: String(number) })
    }
    const { all, current } = await releases()
    expect(current).toBe(keptReleases + 2)
    expect(all.map(({ number }) => number)).toEqual([3, 4, 5, 6, 7])
    const kept = [...docker.images.keys()].filter((name) => name.startsWith('fleet-release/'))
    expect(kept.toSorted()).toEqual(
      [3, 4, 5, 6, 7].map((number) => `fleet-release/shop/web:${number}`),
    )
    expect([...docker.keepers]).toEqual([imageId('a')])
    for (let number = 1; number <= keptReleases; number += 1) {
      await deploy({ image: 'app:2', command: String(number) })
    }
    expect([...docker.keepers]).toEqual([imageId('b')])
  })
})

const rollback = (to?: number) =>
  rollbackMachine(
    { machine: 'web-1', mirror: mirror(), engine: docker.engine, compose: docker.compose },
    { stack, to, owner },
    { progress: () => {}, signal: new AbortController().signal },
  )

describe('rolling back on one machine', () => {
  test('restores files, images and containers without a registry', async () => {
    await deploy({ command: 'old' }, { conf: 'one' })
    const [before] = docker.containers.values()
    await deploy({ image: 'app:2' }, { conf: 'two' })
    docker.registry.clear()
    docker.images.delete('app:1')
    expect(await rollback()).toEqual({ machine: 'web-1', stack: 'shop', from: 2, release: 1 })
    expect(await confOnHost()).toBe('one')
    const [after] = docker.containers.values()
    expect(after).toMatchObject({ hash: before?.hash, image: imageId('a') })
    expect((await releases()).current).toBe(1)
    expect(await rollback(2)).toMatchObject({ from: 1, release: 2 })
    expect(await confOnHost()).toBe('two')
  })

  test('requires a release that was deployed successfully', async () => {
    await deploy()
    await expect(deploy({ command: 'fail' })).rejects.toThrow(/Release 1 was restored/)
    await expect(rollback()).rejects.toMatchObject({
      kind: 'usage',
      message: 'stack shop has no earlier release on web-1',
    })
    await expect(rollback(2)).rejects.toMatchObject({
      message:
        'release 2 of stack shop on web-1 cannot be restored, because its deployment did not succeed',
      hint: 'releases that can be restored: 1',
    })
  })

  test('restores the current release if the stored one is unsafe', async () => {
    await deploy({ command: 'old' })
    await deploy({ command: 'new' })
    const file = join(outer, 'store/releases/1/model.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('old', '${HOME}'))
    await expect(rollback()).rejects.toThrow(
      /the configuration contains a variable\nRelease 2 was restored/,
    )
    expect((await releases()).current).toBe(2)
  })
})
