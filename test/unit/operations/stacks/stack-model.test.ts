import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LocalEntry } from '../../../../src/operations/compose/read-local-files.ts'
import { digestInputs } from '../../../../src/operations/stacks/service-inputs.ts'
import {
  type StackModel,
  type StackService,
  deployedModel,
  followedBy,
  scaleOf,
  withContainerIds,
} from '../../../../src/operations/stacks/stack-model.ts'

const modelOf = (services: Record<string, StackService>, more = {}): StackModel => ({
  name: 'shop',
  services,
  ...more,
})

const labelOf = (service: StackService): string | undefined =>
  deployedModel(modelOf({ web: { ...service, volumes_from: ['db'] }, db: {} }), new Map()).services[
    'web'
  ]?.labels?.['fleet.definition']

describe('a deployed model', () => {
  test('omits everything that only exists on the local computer', () => {
    const model = modelOf({
      web: {
        ...{ image: 'app:1', profiles: ['x'], env_file: [{ path: '/home/ana/e' }] },
        ...{ environment: { A: '1', FROM_SHELL: null }, develop: {}, labels: { l: '1' } },
      },
      built: { build: { context: '/home/ana/shop' } },
    })
    expect(deployedModel(model, new Map([['web', 'd']])).services).toEqual({
      web: {
        image: 'app:1',
        environment: { A: '1' },
        labels: { l: '1', 'fleet.inputs': 'd' },
      },
      built: { image: 'shop-built', pull_policy: 'never' },
    })
  })

  test('has a label with the definition of each service that uses the volumes of another one', () => {
    expect(labelOf({ image: 'a' })).toMatch(/^[0-9a-f]{64}$/)
    expect(labelOf({ image: 'a', scale: 3 })).toBe(labelOf({ image: 'a' }))
    expect(labelOf({ image: 'a', command: ['x'] })).not.toBe(labelOf({ image: 'a' }))
  })
})

test.each<[StackService, readonly string[]]>([
  [{}, []],
  [{ network_mode: 'host' }, []],
  [{ network_mode: 'service:a', ipc: 'service:b', pid: 'service:a' }, ['a', 'b']],
  [{ volumes_from: ['a:ro', 'container:x:ro', 'b'] }, ['a', 'b']],
])('a service with %j depends on %j', (service, followed) => {
  expect(followedBy(service)).toEqual(followed)
})

test.each([
  [{}, 1],
  [{ scale: 0 }, 0],
  [{ deploy: { replicas: 3 } }, 3],
  [{ scale: 2, deploy: { replicas: 2 } }, 2],
  [{ deploy: null }, 1],
])('the scale of %j is %d', (service, scale) => {
  expect(scaleOf(service as StackService)).toBe(scale)
})

test('namespaces of other services are replaced with those of their containers', () => {
  const model = modelOf({
    a: { network_mode: 'service:b', pid: 'host' },
    b: {},
    c: { ipc: 'service:d' },
  })
  const { services } = withContainerIds(model, (name) => (name === 'b' ? 'id' : undefined))
  expect(services['a']).toEqual({ network_mode: 'container:id', pid: 'host' })
  expect(services['c']).toEqual({ ipc: 'service:d' })
})

const file = (digest: string, mode = 0o644): LocalEntry => ({
  ...{ type: 'file', mode, digest, file: '/x', size: 1, modified: new Date(0) },
  ...{ owner: { uid: 0, gid: 0 }, isInMount: true, isMountPoint: false },
})

describe('digests of the inputs of a service', () => {
  const model = modelOf(
    {
      bind: { volumes: [{ type: 'bind', source: '/p/data' }] },
      config: { configs: [{ source: 'conf' }] },
      secret: { secrets: [{ source: 'token' }] },
      network: { networks: { default: null } },
      volume: { volumes: [{ type: 'volume', source: 'vol' }] },
      none: { volumes: [{ type: 'bind', source: '/var/run/docker.sock' }] },
    },
    {
      configs: { conf: { file: '/p/conf' } },
      secrets: { token: { environment: 'TOKEN' } },
      networks: { default: { name: 'shop_default' } },
      volumes: { vol: { name: 'shop_vol' } },
    },
  )
  const digests = (
    files: Record<string, LocalEntry>,
    { env = { TOKEN: 't' }, of = model }: { env?: Record<string, string>; of?: StackModel } = {},
  ) =>
    digestInputs(of, {
      files: new Map(Object.entries(files)),
      fileOf: (path) => (path.startsWith('/p/') ? path.slice(1) : undefined),
      env,
    })
  const files = { 'p/data/a': file('1'), 'p/conf': file('2'), 'p/data2': file('3') }
  const first = digests(files)
  const changedBy = (next: ReadonlyMap<string, string>): string[] =>
    Object.keys(model.services).filter((name) => next.get(name) !== first.get(name))

  test('change exactly if their inputs change', () => {
    expect(changedBy(digests(files))).toEqual([])
    expect(changedBy(digests({ ...files, 'p/data/a': file('9') }))).toEqual(['bind'])
    expect(changedBy(digests({ ...files, 'p/data/b': file('9') }))).toEqual(['bind'])
    expect(changedBy(digests({ ...files, 'p/conf': file('9') }))).toEqual(['config'])
    expect(changedBy(digests({ ...files, 'p/data2': file('9') }))).toEqual([])
    expect(changedBy(digests(files, { env: { TOKEN: 'u' } }))).toEqual(['secret'])
    const of = { ...model, networks: { default: { name: 'shop_default', internal: true } } }
    expect(changedBy(digests(files, { of }))).toEqual(['network'])
    const other = { ...model, volumes: { vol: { name: 'shop_vol', driver_opts: { a: 'b' } } } }
    expect(changedBy(digests(files, { of: other }))).toEqual(['volume'])
  })

  test('do not exist for a service that uses no local files or variables', () => {
    expect(first.has('none')).toBe(false)
  })

  test('do not depend on the umask of the clone or the order of files', () => {
    fc.assert(
      fc.property(fc.constantFrom(0o600, 0o640, 0o664), fc.boolean(), (mode, isReversed) => {
        const all = Object.entries(files).map(
          ([name, entry]) => [name, { ...entry, mode }] as const,
        )
        const next = digests(Object.fromEntries(isReversed ? all.toReversed() : all))
        expect(changedBy(next)).toEqual([])
      }),
    )
    expect(changedBy(digests({ ...files, 'p/data/a': file('1', 0o755) }))).toEqual(['bind'])
  })
})
