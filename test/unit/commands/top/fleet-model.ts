import type { ContainerStats } from '../../../../src/engine/stats.ts'
import { type Machine } from '../../../../src/machine/machine.ts'
import { stackOf } from '../../../../src/machine/stacks.ts'
import type { TopContainer } from '../../../../src/operations/top/updates.ts'
import { applyUpdate } from '../../../../src/commands/top/model/apply-update.ts'
import { draw } from '../../../../src/commands/top/draw/draw.ts'
import { type Effect, type Model, initialModel } from '../../../../src/commands/top/model/model.ts'
import { pressKey } from '../../../../src/commands/top/model/press-key.ts'

/** Current time of the models, in milliseconds since 1970. */
export const now = Date.UTC(2026, 0, 1)

export const machine = (name: string, more: object = {}): Machine =>
  ({
    name,
    driver: 'ssh',
    labels: { role: name.replace(/-.*/, '') },
    host: { phase: 'ready', address: '203.0.113.7' },
    ...more,
  }) as unknown as Machine

export const container = (name: string, more: Partial<TopContainer> = {}): TopContainer => ({
  ...{ id: `${name}-id`.padEnd(64, '0'), name, image: 'nginx:1.27', imageId: 'sha256:aa' },
  ...{ state: 'running', status: 'Up 3 minutes', health: '', stack: '', service: '' },
  ...{ hash: '', isUnfinishedMark: false },
  ...more,
})

export const stats = (name: string, cpuPercent: number, received = 0): ContainerStats => ({
  ...{ id: name, name, cpuPercent, pids: 1 },
  memory: { used: 250_000_000, limit: 1_000_000_000, percent: 25 },
  network: { received, sent: 0 },
  block: { read: 0, written: 0 },
})

/**
 * A model of three machines: web-1 with three containers, web-2 with one, and db-1, which is protected and not
 * connected yet.
 */
export function fleetModel(
  size: { columns?: number; rows?: number; unicode?: boolean } = {},
): Model {
  const { columns = 100, rows = 14, unicode = true } = size
  const machines = [machine('web-1'), machine('web-2'), machine('db-1', { protected: true })]
  let model = initialModel({
    ...{ now, columns, rows, isReadOnly: false, machines },
    swarms: [
      { name: 'prod', isProtected: false },
      { name: 'live', isProtected: true },
    ],
    look: { colors: 'none', unicode },
    stacks: new Map([['shop', stackOf('shop', { compose: 'compose.yaml', on: 'role=web' })]]),
  })
  for (const name of ['web-1', 'web-2']) {
    for (const cpu of [undefined, 0.25, 0.5]) {
      model = applyUpdate(model, {
        ...{ kind: 'figures', machine: name, at: now },
        figures: {
          ...{ load: 0.5, cpu, memory: { used: 3e9, total: 4e9 } },
          disk: { used: 95e9, total: 100e9 },
        },
      })
    }
    model = applyUpdate(model, {
      ...{ kind: 'connected', machine: name, engine: '27.5.1', processors: 2, at: now },
    })
  }
  model = applyUpdate(model, {
    ...{ kind: 'containers', machine: 'web-1', at: now },
    containers: [
      container('shop-web', { stack: 'shop', service: 'web', health: 'healthy' }),
      container('shop-db', { stack: 'shop', service: 'db', image: 'postgres:17' }),
      container('job', { state: 'exited', status: 'Exited (1) 2 hours ago' }),
    ],
  })
  return applyUpdate(model, {
    ...{ kind: 'containers', machine: 'web-2', at: now },
    containers: [container('cache', { image: 'redis:7' })],
  })
}

/** Returns the model after the keys were pressed, and the effects that they requested. */
export function press(
  before: Model,
  ...keys: readonly string[]
): { model: Model; effects: Effect[] } {
  const effects: Effect[] = []
  let model = before
  for (const key of keys) {
    const step = pressKey(model, key)
    model = step.model
    effects.push(...step.effects)
  }
  return { model, effects }
}

/** Returns the keys that type a text, one for each character. */
export const typing = (text: string): readonly string[] => Array.from(text)

/** Returns the screen as text, one line for each row. */
export const screenOf = (model: Model): string => draw(model).lines().join('\n')
