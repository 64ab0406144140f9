import { describe, expect, test } from 'vitest'
import type { Machine } from '../../../../src/machine/machine.ts'
import type { MachineName } from '../../../../src/machine/name.ts'
import { resolveForMachines } from '../../../../src/operations/stacks/machine-models.ts'
import type { ResolvedStack } from '../../../../src/operations/stacks/resolve-stack.ts'
import {
  localFileAt,
  machineVariables,
  storedPath,
} from '../../../../src/operations/stacks/stack-files.ts'

const machine = (name: string, labels: Record<string, string> = {}): Machine => ({
  ...{ name: name as MachineName, driver: 'ssh', labels },
  host: { phase: 'ready', address: `${name}.example` },
})

/** A compose that puts the result of `command` into the model; counts its runs. */
function fakeCompose(command: (variables: Readonly<Record<string, string>>) => string) {
  const runs: Readonly<Record<string, string>>[] = []
  const resolve = async (variables: Readonly<Record<string, string>>): Promise<ResolvedStack> => {
    runs.push(variables)
    const image = command(variables)
    const model = { name: 'shop', services: { web: { image } } }
    return {
      ...{ taken: [], files: new Map(), skipped: [] },
      paths: { mounts: new Set(), contexts: [], files: new Set() },
      builds: { images: new Map(), files: new Map(), dockerfiles: [], modelFor: () => model },
      modelFor: () => model,
    }
  }
  return { runs, resolve }
}

const imagesOf = (resolved: ReadonlyMap<string, ResolvedStack>) =>
  [...resolved].map(([name, one]) => [name, one.modelFor('').services['web']?.image])

describe('the variables of a machine', () => {
  test('are its name, its address and its labels', () => {
    expect(machineVariables(machine('web-1', { role: 'web', 'a/b.c-d': 'x' }))).toEqual({
      FLEET_MACHINE: 'web-1',
      FLEET_ADDRESS: 'web-1.example',
      FLEET_LABEL_ROLE: 'web',
      FLEET_LABEL_A_B_C_D: 'x',
    })
    const wanted: Machine = { name: 'web-2' as MachineName, driver: 'aws' }
    expect(machineVariables(wanted)).toEqual({ FLEET_MACHINE: 'web-2', FLEET_ADDRESS: '' })
  })
})

describe('a stack on several machines', () => {
  const machines = [
    machine('web-1', { zone: 'a' }),
    machine('web-2', { rack: '1' }),
    machine('web-3'),
  ]

  test('is resolved once, and once more to see that it depends on no machine', async () => {
    const { runs, resolve } = fakeCompose(() => 'app:1')
    expect(imagesOf(await resolveForMachines(resolve, machines))).toEqual([
      ['web-1', 'app:1'],
      ['web-2', 'app:1'],
      ['web-3', 'app:1'],
    ])
    expect(runs).toHaveLength(2)
  })

  test('is resolved for each machine if it uses a variable, also one that only some have', async () => {
    const { resolve } = fakeCompose(({ FLEET_LABEL_RACK = 'none' }) => `app:${FLEET_LABEL_RACK}`)
    expect(imagesOf(await resolveForMachines(resolve, machines))).toEqual([
      ['web-1', 'app:none'],
      ['web-2', 'app:1'],
      ['web-3', 'app:none'],
    ])
  })

  test('is resolved for each machine if other values make it invalid', async () => {
    const { resolve } = fakeCompose(({ FLEET_MACHINE = '' }) => {
      if (!FLEET_MACHINE.startsWith('web-')) throw new Error('invalid port')
      return `app:${FLEET_MACHINE}`
    })
    expect(imagesOf(await resolveForMachines(resolve, machines))).toEqual([
      ['web-1', 'app:web-1'],
      ['web-2', 'app:web-2'],
      ['web-3', 'app:web-3'],
    ])
  })

  test('fails as compose does', async () => {
    const { resolve } = fakeCompose(() => {
      throw new Error('no such file')
    })
    await expect(resolveForMachines(resolve, machines)).rejects.toThrow('no such file')
    expect(await resolveForMachines(resolve, [])).toEqual(new Map())
  })
})

test.each([
  ['/home/ana/infra/shop/a', 'files/shop/a'],
  ['/home/ana/infra', 'files'],
  ['/home/ana/infra2/a', 'outside/home/ana/infra2/a'],
  ['/etc/motd', 'outside/etc/motd'],
])('%s is stored as %s', (file, stored) => {
  expect(storedPath('/home/ana/infra', file)).toBe(stored)
  expect(localFileAt('/home/ana/infra', stored)).toBe(file)
})
