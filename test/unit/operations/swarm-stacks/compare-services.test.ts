import { describe, expect, it } from 'vitest'
import type { SwarmNode } from '../../../../src/engine/swarm/nodes.ts'
import type { Service } from '../../../../src/engine/swarm/services.ts'
import { compareSwarmServices } from '../../../../src/operations/swarm-stacks/compare-services.ts'
import { mayRunOn } from '../../../../src/operations/swarm-stacks/node-images.ts'
import {
  type SwarmFile,
  type SwarmService,
  digestLabel,
} from '../../../../src/operations/swarm-stacks/swarm-file.ts'

const file: SwarmFile = {
  version: '3.8',
  services: {
    web: {
      ...{ image: 'shop:1', environment: { PRICE: '$$1' } },
      deploy: { replicas: 2, labels: { [digestLabel]: 'one' } },
    },
  },
}

interface Found {
  readonly name?: string
  readonly digest?: string | undefined
  readonly image?: string
  readonly env?: readonly string[]
  readonly replicas?: number
  readonly update?: string
  readonly running?: number
}

const service = ({
  name = 'shop_web',
  image = 'shop:1@sha256:abc',
  env = ['PRICE=$1'],
  replicas = 2,
  running = 2,
  update,
  ...more
}: Found = {}): Service => ({
  ...{ ID: name, Version: { Index: 1 }, CreatedAt: '', UpdatedAt: '', Endpoint: { Ports: [] } },
  Spec: {
    Name: name,
    Labels:
      'digest' in more && more.digest === undefined ? {} : { [digestLabel]: more.digest ?? 'one' },
    TaskTemplate: { ContainerSpec: { Image: image, Env: env } },
    Mode: { Replicated: { Replicas: replicas } },
  },
  ...(update !== undefined && { UpdateStatus: { State: update, Message: '' } }),
  ServiceStatus: { RunningTasks: running, DesiredTasks: replicas, CompletedTasks: 0 },
})

const compare = (...services: readonly Service[]) => compareSwarmServices('shop', file, services)

describe('the services of a stack', () => {
  it('need no change if they match the file', () => {
    expect(compare(service())).toEqual({ changes: [], waiting: [] })
  })

  it('match an image without a tag, to which docker adds one', () => {
    const untagged = { ...file.services['web'], image: 'nginx' } as SwarmService
    const services = { web: untagged }
    const found = service({ image: 'nginx:latest@sha256:abc' })
    expect(compareSwarmServices('shop', { ...file, services }, [found]).changes).toEqual([])
  })

  it.each([
    ['are created if they are missing', [], 'create', /does not exist in the swarm/],
    [
      'are updated if their definition changed',
      [service({ digest: 'two' })],
      'recreate',
      /has changed/,
    ],
    [
      'are updated if fleet did not deploy them',
      [service({ digest: undefined })],
      'recreate',
      /not deployed/,
    ],
    [
      'are updated if their image was changed by hand',
      [service({ image: 'x:2' })],
      'recreate',
      /image was/,
    ],
    [
      'are updated if their environment was changed by hand',
      [service({ env: ['A=1'] })],
      'recreate',
      /environment/,
    ],
    [
      'are updated if their last update is paused',
      [service({ update: 'paused' })],
      'recreate',
      /is paused/,
    ],
    [
      'are updated if their last update was rolled back',
      [service({ digest: 'two', update: 'rollback_completed' })],
      'recreate',
      /was rolled back/,
    ],
    [
      'are scaled if their number of replicas was changed',
      [service({ replicas: 5 })],
      'scale',
      /replicas 5 -> 2/,
    ],
  ])('%s', (_, services, action, why) => {
    expect(compare(...services).changes).toEqual([
      { service: 'web', action, why: expect.stringMatching(why) },
    ])
  })

  it('are removed if the file does not define them', () => {
    const { changes } = compare(service(), service({ name: 'shop_old' }))
    expect(changes).toEqual([
      { service: 'old', action: 'remove', why: 'the stack does not define this service' },
    ])
  })

  it('are reported if their tasks are not running', () => {
    expect(compare(service({ running: 1 })).waiting).toEqual([
      { service: 'web', why: '1 of 2 tasks are running' },
    ])
  })
})

const node = (availability = 'active', state = 'ready'): SwarmNode => ({
  ...{ ID: 'n1', Version: { Index: 1 } },
  Spec: { Labels: { rack: 'r1' }, Role: 'worker', Availability: availability },
  Description: { Hostname: 'host-1', Engine: { EngineVersion: '20.10' } },
  Status: { State: state, Addr: '' },
})

/** Returns whether tasks with these constraints can run on a node. */
const may = (constraints: readonly string[], one = node()) =>
  mayRunOn(one, { deploy: { labels: {}, placement: { constraints } } })

describe('a swarm node', () => {
  it.each([
    [['node.role==worker'], true],
    [['node.role == manager'], false],
    [['node.role!=manager', 'node.labels.rack==r1'], true],
    [['node.labels.rack!=r1'], false],
    [['node.labels.gpu==yes'], false],
    [['node.hostname==host-1'], true],
    [['node.platform.os==linux'], true],
  ])('with the constraints %j can run tasks: %s', (constraints, expected) => {
    expect(may(constraints)).toBe(expected)
  })

  it('runs no tasks while it is drained or down', () => {
    expect([may([], node('drain')), may([], node('active', 'down'))]).toEqual([false, false])
  })
})
