import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Machine } from '../../../../src/machine/machine.ts'
import type { MachineName } from '../../../../src/machine/name.ts'
import { stackOf } from '../../../../src/machine/stacks.ts'
import {
  type MachineResolver,
  resolveForMachines,
} from '../../../../src/operations/stacks/machine-models.ts'
import type { ResolvedStack } from '../../../../src/operations/stacks/resolve-stack.ts'
import {
  localFileAt,
  machineVariables,
  readStackFiles,
  storedPath,
  usedVariables,
} from '../../../../src/operations/stacks/stack-files.ts'

const machine = (name: string, labels: Record<string, string> = {}): Machine => ({
  ...{ name: name as MachineName, driver: 'ssh', labels },
  host: { phase: 'ready', address: `${name}.example` },
})

/** Returns a fake Compose that sets the image to the result of `command`, and records the variables of its runs. */
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

const resolver = (
  resolve: ReturnType<typeof fakeCompose>['resolve'],
  ...names: readonly string[]
): MachineResolver => ({
  variablesOf: (one) =>
    Object.fromEntries(
      Object.entries(machineVariables(one)).filter(([name]) => names.includes(name)),
    ),
  resolve,
})

const imagesOf = (resolved: ReadonlyMap<string, ResolvedStack>) =>
  [...resolved].map(([name, one]) => [name, one.modelFor('').services['web']?.image])

describe('FLEET_ variables of a machine', () => {
  test('contain its name, its address and its labels', () => {
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

test('only the machine variables that the files of a stack use are set', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'variables-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(
    join(folder, 'compose.yaml'),
    'services: { web: { image: "app:${FLEET_LABEL_ROLE:-none}", env_file: web.env } }\n',
  )
  await writeFile(join(folder, 'web.env'), 'WHERE=$FLEET_MACHINE\n')
  const stack = stackOf('shop', { compose: 'compose.yaml', on: 'all' })
  const files = await readStackFiles(join(folder, 'machines.yaml'), stack, {})
  expect(usedVariables(files, machine('web-1', { role: 'web', zone: 'a' }))).toEqual({
    FLEET_MACHINE: 'web-1',
    FLEET_LABEL_ROLE: 'web',
  })
  expect(usedVariables(files, machine('web-2'))).toEqual({ FLEET_MACHINE: 'web-2' })
})

describe('a stack on several machines', () => {
  const machines = [
    machine('web-1', { zone: 'a' }),
    machine('web-2', { rack: '1' }),
    machine('web-3'),
  ]

  test('is resolved once if it uses no machine variables', async () => {
    const { runs, resolve } = fakeCompose(() => 'app:1')
    expect(imagesOf(await resolveForMachines(resolver(resolve), machines))).toEqual([
      ['web-1', 'app:1'],
      ['web-2', 'app:1'],
      ['web-3', 'app:1'],
    ])
    expect(runs).toEqual([{}])
  })

  test('is resolved once for each value of a label that it uses', async () => {
    const { runs, resolve } = fakeCompose(
      ({ FLEET_LABEL_RACK }) => (FLEET_LABEL_RACK === undefined ? 'app:none' : 'app:racked'), // ${FLEET_LABEL_RACK:+racked}
    )
    const used = resolver(resolve, 'FLEET_LABEL_RACK')
    expect(imagesOf(await resolveForMachines(used, machines))).toEqual([
      ['web-1', 'app:none'],
      ['web-2', 'app:racked'],
      ['web-3', 'app:none'],
    ])
    expect(runs).toEqual([{}, { FLEET_LABEL_RACK: '1' }])
  })

  test('is resolved for each machine if it uses their names', async () => {
    const { resolve } = fakeCompose(({ FLEET_MACHINE = '' }) => `app:${FLEET_MACHINE}`)
    const used = resolver(resolve, 'FLEET_MACHINE')
    expect(imagesOf(await resolveForMachines(used, machines))).toEqual([
      ['web-1', 'app:web-1'],
      ['web-2', 'app:web-2'],
      ['web-3', 'app:web-3'],
    ])
  })

  test('fails with the error of compose', async () => {
    const { resolve } = fakeCompose(() => {
      throw new Error('no such file')
    })
    await expect(resolveForMachines(resolver(resolve), machines)).rejects.toThrow('no such file')
    expect(await resolveForMachines(resolver(resolve), [])).toEqual(new Map())
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
