import { describe, expect, test } from 'vitest'
import { compareServices } from '../../../../src/operations/stacks/compare-services.ts'
import {
  type StackContainer,
  readStackContainer,
} from '../../../../src/operations/stacks/observe-stack.ts'
import type { StackModel, StackService } from '../../../../src/operations/stacks/stack-model.ts'

const version = '2.40.3'

const container = (service: string, more: Partial<StackContainer> = {}): StackContainer => ({
  ...{ id: `${service}1`, name: `shop-${service}-1`, service },
  ...{ hash: `hash of ${service}`, image: 'sha256:app', version },
  ...{ imageName: 'app:1', imageId: 'sha256:app' },
  ...{ labels: {}, state: 'running', exitCode: undefined, health: undefined },
  mounts: [],
  networks: ['shop_default'],
  ...more,
})

/** Compares containers with services whose hashes match the ones that `container` sets. */
function compare(
  services: Record<string, StackService>,
  containers: readonly StackContainer[],
  {
    composeVersion = version,
    images = [['app:1', 'sha256:app']],
  }: { composeVersion?: string; images?: [string, string][] } = {},
) {
  const filled = Object.entries(services).map(
    ([name, service]) =>
      [name, { image: 'app:1', networks: { default: null }, ...service }] as const,
  )
  const model: StackModel = {
    name: 'shop',
    services: Object.fromEntries(filled),
    networks: { default: { name: 'shop_default' } },
  }
  const hashes = new Map(Object.keys(services).map((name) => [name, `hash of ${name}`]))
  return compareServices(
    { model, hashes, version: composeVersion, images: new Map(images) },
    containers,
  )
}

const webAndOtherDb = (composeVersion: string) => [
  container('web', { version: composeVersion }),
  container('db', { version: composeVersion, hash: 'other' }),
]

const changesOf = (...args: Parameters<typeof compare>): string[] =>
  compare(...args).changes.map(({ service, action, why }) => `${service}: ${action}: ${why}`)

describe('the containers of a stack', () => {
  test('need no change if they match the model', () => {
    const healthy = container('web', { health: 'healthy' })
    expect(compare({ web: {}, db: {} }, [healthy, container('db')])).toEqual({
      changes: [],
      unhealthy: [],
    })
  })

  test.each<[string, StackService, readonly StackContainer[], string]>([
    ['the service has none', {}, [], 'web: create: the service has no container'],
    [
      'the service has too few',
      { deploy: { replicas: 2 } },
      [container('web')],
      'web: scale: the service has 1 container, but should have 2',
    ],
    [
      'the service has too many',
      {},
      [container('web'), container('web', { id: 'web2' })],
      'web: scale: the service has 2 containers, but should have 1',
    ],
    [
      'the service should have none',
      { scale: 0 },
      [container('web')],
      'web: scale: the service has 1 container, but should have none',
    ],
    [
      'their configuration has changed',
      {},
      [container('web', { hash: 'other' })],
      'web: recreate: the configuration has changed',
    ],
    [
      'a file that they use has changed',
      { labels: { 'fleet.inputs': 'new' } },
      [container('web', { hash: 'other', labels: { 'fleet.inputs': 'old' } })],
      'web: recreate: a file or definition that the service uses has changed',
    ],
    [
      'another Compose version created them',
      {},
      [container('web', { hash: 'other', version: '2.26.1' })],
      'web: recreate: either the configuration has changed, or Compose 2.40.3 hashes it differently from Compose 2.26.1, which created the containers',
    ],
    [
      'their image has changed',
      {},
      [container('web', { image: 'sha256:old' })],
      'web: recreate: the image app:1 has changed',
    ],
    [
      'the host does not have their image',
      { image: 'app:2' },
      [container('web')],
      'web: recreate: the host does not have the image app:2',
    ],
    [
      'one is not connected to its network',
      {},
      [container('web', { networks: ['bridge'] })],
      'web: recreate: a container is not connected to network shop_default',
    ],
    [
      'one is stopped',
      {},
      [container('web', { state: 'exited', exitCode: 137 })],
      'web: start: the container exited with code 137',
    ],
  ])('are changed if %s', (_name, service, containers, change) => {
    expect(changesOf({ web: service }, containers)).toEqual([change])
  })

  test('are removed last if the stack does not define their service', () => {
    const all = [container('old'), container('web')]
    expect(changesOf({ web: {}, db: {} }, all)).toEqual([
      'db: create: the service has no container',
      'old: remove: the stack does not define this service',
    ])
  })

  test('are complete after they exited successfully, if another service waits for that', () => {
    const done = container('migrate', { state: 'exited', exitCode: 0 })
    const waits = { depends_on: { migrate: { condition: 'service_completed_successfully' } } }
    expect(changesOf({ migrate: {}, web: waits }, [done, container('web')])).toEqual([])
    expect(changesOf({ migrate: {}, web: {} }, [done, container('web')])).toEqual([
      'migrate: start: the container exited with code 0',
    ])
    const failed = container('migrate', { state: 'exited', exitCode: 1 })
    expect(changesOf({ migrate: {}, web: waits }, [failed, container('web')])).toHaveLength(1)
  })

  test('are reported as unhealthy only if no change is planned for them', () => {
    const sick = container('web', { health: 'unhealthy' })
    expect(compare({ web: {} }, [sick]).unhealthy).toEqual(['web'])
    expect(compare({ web: {} }, [{ ...sick, hash: 'other' }]).unhealthy).toEqual([])
  })

  test('are recreated together with a container whose namespaces or volumes they share', () => {
    const services = {
      tail: { volumes_from: ['side:ro'] },
      side: { network_mode: 'service:web', networks: {} },
      web: {},
    }
    const all = [container('web', { hash: 'other' }), container('side'), container('tail')]
    expect(changesOf(services, all)).toEqual([
      'tail: recreate: the service shares resources with side, whose container will be replaced',
      'side: recreate: the service shares resources with web, whose container will be replaced',
      'web: recreate: the configuration has changed',
    ])
  })

  test('are recreated together with their dependencies by Compose before 2.30', () => {
    const services = { web: { depends_on: { db: {} } }, db: {} }
    expect(changesOf(services, webAndOtherDb('2.30.0'), { composeVersion: '2.30.0' })).toHaveLength(
      1,
    )
    expect(changesOf(services, webAndOtherDb('2.26.1'), { composeVersion: '2.26.1-4' })).toEqual([
      'web: recreate: Compose 2.26.1-4 recreates the service together with db',
      'db: recreate: the configuration has changed',
    ])
  })

  test('are compared by the version of Compose without the suffix of its package', () => {
    const service = { volumes_from: ['db'], labels: { 'fleet.definition': 'd' } }
    const all = [container('web', { labels: { 'fleet.definition': 'd' } }), container('db')]
    expect(changesOf({ web: service, db: {} }, all, { composeVersion: '2.40.3-3' })).toEqual([])
    expect(changesOf({ web: service, db: {} }, all, { composeVersion: '2.41.0' })).toHaveLength(1)
  })
})

describe('a container of a stack', () => {
  const summary = {
    ...{ Id: 'c1', Names: ['/shop-web-1'], Image: 'app:1', ImageID: 'sha256:app', Command: '' },
    ...{ Created: 0, Ports: [], Mounts: [], Networks: ['shop_default'], State: 'running' },
    Labels: {
      'com.docker.compose.service': 'web',
      'com.docker.compose.config-hash': 'h',
      'com.docker.compose.image': 'sha256:app',
      'com.docker.compose.version': version,
    },
  }
  test.each([
    ['Up 3 minutes', { health: undefined, exitCode: undefined }],
    ['Up 3 minutes (healthy)', { health: 'healthy' }],
    ['Up 3 minutes (unhealthy)', { health: 'unhealthy' }],
    ['Up 2 seconds (health: starting)', { health: 'starting' }],
    ['Exited (0) 3 minutes ago', { exitCode: 0 }],
    ['Exited (137) 3 minutes ago', { exitCode: 137 }],
  ])('is read with the status %s', (Status, expected) => {
    expect(readStackContainer({ ...summary, Status })).toMatchObject({
      ...{ id: 'c1', name: 'shop-web-1', service: 'web', hash: 'h', image: 'sha256:app', version },
      ...{ imageName: 'app:1', imageId: 'sha256:app' },
      ...expected,
    })
  })

  test('is ignored if docker compose run created it', () => {
    const Labels = { ...summary.Labels, 'com.docker.compose.oneoff': 'True' }
    expect(readStackContainer({ ...summary, Status: 'Up', Labels })).toBeUndefined()
  })
})
