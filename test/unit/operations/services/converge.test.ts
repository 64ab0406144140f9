import { describe, expect, it } from 'vitest'
import type { Service } from '../../../../src/engine/swarm/services.ts'
import type { Task } from '../../../../src/engine/swarm/tasks.ts'
import { newestFailure, stateOf } from '../../../../src/operations/services/converge.ts'

type Mode = Service['Spec']['Mode']

const service = (update?: string, mode: Mode = { Replicated: { Replicas: 2 } }) => ({
  Spec: { Name: 'web', TaskTemplate: {}, Mode: mode },
  ...(update !== undefined && { UpdateStatus: { State: update, Message: 'because' } }),
})

const task = (state: string, more: Partial<Task> & { readonly error?: string } = {}): Task => ({
  ...{ ID: 't', CreatedAt: '2026-01-01T00:00:00Z', ServiceID: 's', DesiredState: 'running' },
  ...{ Spec: {}, Status: { State: state, Timestamp: '', Err: more.error ?? '' }, ...more },
})

const [running, starting] = [task('running'), task('starting')]
const old = task('running', { DesiredState: 'shutdown' })

describe('the state of a service', () => {
  it.each([
    ['settles when all tasks run', undefined, [running, running], 'settling'],
    ['waits for tasks', undefined, [running, starting], 'waiting'],
    ['does not count tasks that should not run', undefined, [running, old], 'waiting'],
    ['waits for an update even if all tasks run', 'updating', [running, running], 'waiting'],
    ['has converged after an update', 'completed', [running, running], 'converged'],
    ['waits for missing tasks after an update', 'completed', [running], 'waiting'],
    ['is being rolled back', 'rollback_started', [running, starting], 'rolling-back'],
  ] as const)('%s', (_, update, tasks, state) => {
    expect(stateOf(service(update), tasks, { expects: 'update' }).state).toBe(state)
  })

  it.each([
    ['paused', 'the update is paused: because'],
    ['rollback_paused', 'the rollback is paused: because'],
    ['rollback_completed', 'the update was rolled back'],
  ])('is failed if the update status is %s', (update, why) => {
    const found = stateOf(service(update), [running, running], { expects: 'update' })
    expect(found).toMatchObject({ state: 'failed', why })
  })

  it('is converged after a requested rollback', () => {
    const expects = { expects: 'rollback' } as const
    expect(stateOf(service('rollback_started'), [running], expects).state).toBe('waiting')
    const tasks = [running, running]
    expect(stateOf(service('rollback_completed'), tasks, expects).state).toBe('converged')
  })

  it('counts the running tasks of a global service', () => {
    const all = stateOf(service(undefined, { Global: {} }), [running, starting, old], {
      expects: 'update',
    })
    expect(all).toEqual({ state: 'waiting', running: 1, desired: 2 })
  })

  it("counts the completed tasks of a job's latest iteration", () => {
    const job = { ...service(undefined, { ReplicatedJob: { TotalCompletions: 2 } }) }
    const done = task('complete', { JobIteration: { Index: 2 } })
    const before = task('complete', { JobIteration: { Index: 1 } })
    const status = { ...job, JobStatus: { JobIteration: { Index: 2 } } }
    const found = stateOf(status, [done, before], { expects: 'update' })
    expect(found).toEqual({ state: 'waiting', running: 1, desired: 2 })
  })
})

/** Returns a task that ended with an error. */
const failed = (ID: string, time: string, state = 'failed'): Task =>
  task(state, { ID, CreatedAt: `2026-01-01T00:00:0${time}Z`, error: `error of ${ID}` })

describe('the newest failure', () => {
  it('is the newest task that failed and did not exist before the change', () => {
    const tasks = [failed('a', '1'), failed('b', '3'), failed('c', '2', 'rejected'), running]
    expect(newestFailure(tasks, new Set(['b']))?.ID).toBe('c')
    expect(newestFailure(tasks, new Set(['a', 'b', 'c']))).toBeUndefined()
  })

  it('is a pending task that no node accepts, if no task has failed', () => {
    const pending = failed('p', '9', 'pending')
    expect(newestFailure([pending], new Set())?.ID).toBe('p')
    expect(newestFailure([pending, failed('a', '1')], new Set())?.ID).toBe('a')
  })
})
