import { describe, expect, it } from 'vitest'
import { withChange } from '../../../../src/operations/services/change-service.ts'

const spec = {
  ...{ Name: 'web', Labels: { a: 'b' }, EndpointSpec: { Mode: 'dnsrr' } },
  TaskTemplate: {
    ContainerSpec: { Image: 'shop:1', Env: ['A=1', 'B=2'], Args: ['serve'] },
    Placement: { Constraints: ['node.role==worker'], MaxReplicas: 2 },
    ...{ ForceUpdate: 3, Resources: { Limits: {} } },
  },
  Mode: { Replicated: { Replicas: 2 } },
}

describe('a change to a service', () => {
  it('keeps everything that it does not set', () => {
    expect(withChange(spec, {})).toEqual(spec)
  })

  it('adds, changes and removes variables', () => {
    const changed = withChange(spec, { envAdd: ['B=3', 'C=4=5'], envRm: ['A'] })
    expect(changed.TaskTemplate.ContainerSpec).toEqual({
      ...{ Image: 'shop:1', Args: ['serve'], Env: ['B=3', 'C=4=5'] },
    })
  })

  it('adds and removes constraints only once', () => {
    const change = { constraintAdd: ['node.labels.rack==1'], constraintRm: ['node.role==worker'] }
    const changed = withChange(withChange(spec, change), change)
    expect(changed.TaskTemplate.Placement).toEqual({
      ...{ Constraints: ['node.labels.rack==1'], MaxReplicas: 2 },
    })
  })

  it('sets the image and the replicas, and increases the counter that forces new tasks', () => {
    const changed = withChange(spec, { image: 'shop:2', replicas: 0, force: true })
    expect(changed).toMatchObject({
      Mode: { Replicated: { Replicas: 0 } },
      TaskTemplate: { ForceUpdate: 4, ContainerSpec: { Image: 'shop:2' } },
    })
  })

  it('refuses to set replicas for a global service', () => {
    expect(() => withChange({ ...spec, Mode: { Global: {} } }, { replicas: 2 })).toThrow(
      /service web runs in global mode/,
    )
  })
})
