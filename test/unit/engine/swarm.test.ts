import { expect, test } from 'vitest'
import type { Engine, EngineRequest } from '../../../src/engine/engine.ts'
import { readSwarmInfo } from '../../../src/engine/swarm/info.ts'
import { joinSwarm } from '../../../src/engine/swarm/membership.ts'
import { updateNode } from '../../../src/engine/swarm/nodes.ts'
import { UserError } from '../../../src/errors.ts'
import { findSecrets } from '../../../src/machine/secrets/find-secrets.ts'
import { createRedactor } from '../../../src/os/redact.ts'

const { signal } = new AbortController()
const token = `SWMTKN-1-${'4r'.repeat(25)}-${'8t58'.repeat(6)}x`

/** Returns an engine that responds to requests with the result of `answer`. */
const engineOf = (answer: (request: EngineRequest) => unknown): Engine => ({
  ...({} as Engine),
  json: async (request, read) => read(answer(request), ''),
})

test('a refused join token is in no error message and no trace', async () => {
  const engine = engineOf(({ body }) => {
    throw new UserError('failed', `bad request: ${JSON.stringify(body)}`, { machine: 'web-1' })
  })
  const joining = { advertise: '192.0.2.1', managers: ['192.0.2.2:2377'], token }
  const error = await joinSwarm(engine, joining, signal).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(UserError)
  expect(JSON.stringify([(error as Error).message, (error as Error).cause])).not.toContain(token)
  expect((error as Error).message).not.toContain(token.slice(10, 40))
  expect((error as Error).message).toContain('192.0.2.2:2377')
  const redact = createRedactor(findSecrets, {})
  expect(redact(`join with ${token}`)).not.toContain(token.slice(10, 40))
})

const read = (Swarm: unknown) => readSwarmInfo(engineOf(() => ({ Swarm })))

test('readSwarmInfo distinguishes no swarm, a worker, and a manager without a leader', async () => {
  const none = { NodeID: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '' }
  expect(await read({ ...none, RemoteManagers: null })).toMatchObject({
    ...{ state: 'inactive', isManager: false, managers: [] },
  })
  expect(await read(undefined)).toMatchObject({ state: 'inactive' })
  const worker = { ...none, NodeID: 'n1', LocalNodeState: 'active' }
  expect(await read({ ...worker, RemoteManagers: [{ NodeID: 'n2' }] })).toMatchObject({
    ...{ nodeId: 'n1', state: 'active', managers: ['n2'] },
  })
  const lost = { ...worker, ControlAvailable: true, Error: 'deadline exceeded' }
  const info = await read({ ...lost, Cluster: { ID: '', Spec: { Labels: null } } })
  expect(info).toMatchObject({ isManager: true, error: 'deadline exceeded' })
  expect(info.cluster).toBeUndefined()
})

test('an update of a node is repeated after a version conflict, and skipped if nothing changes', async () => {
  let version = 7
  const updates: unknown[] = []
  const engine = engineOf(({ method, query }) => {
    if (method !== 'POST') {
      return {
        ...{ ID: 'n1', Version: { Index: version } },
        Spec: { Labels: { rack: '1' }, Role: 'worker', Availability: 'active' },
      }
    }
    updates.push(query)
    if (query?.['version'] !== 8) {
      version = 8
      throw new UserError('failed', 'rpc error: code = Unknown desc = update out of sequence')
    }
    return undefined
  })
  await updateNode(engine, 'n1', (spec) => ({ ...spec, Role: 'manager' }), signal)
  expect(updates).toEqual([{ version: 7 }, { version: 8 }])
  await updateNode(engine, 'n1', (spec) => ({ ...spec }), signal)
  expect(updates).toHaveLength(2)
  const denied = engineOf(({ method }) => {
    if (method !== 'POST') return { ID: 'n1', Version: { Index: 1 }, Spec: { Role: 'worker' } }
    throw new UserError('failed', 'attempting to demote the last manager of the swarm')
  })
  const update = updateNode(denied, 'n1', (spec) => ({ ...spec, Role: 'x' }), signal)
  await expect(update).rejects.toThrow('last manager')
})
