import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Person, makePerson } from '../support/person.ts'

// What the program does without a host.

let ana: Person
beforeEach(async () => {
  ana = await makePerson()
})
afterEach(() => ana[Symbol.asyncDispose]())

const inFolder = (name: string): string => join(ana.folder, name)

const inventory = `version: 1
id: 0123abcd
machines:
  half: { driver: from-tomorrow, labels: { role: web }, host: { phase: creating, token: t } }
  here: { driver: local, host: { phase: ready } }
  there: { driver: ssh, options: { address: there.invalid }, host: { phase: ready, address: there.invalid } }
`

test('without an inventory every command says how to begin', async () => {
  await rm(inFolder('machines.yaml'))
  for (const args of [['ls'], ['use', 'a'], ['adopt', 'a.invalid'], ['rm', '-y', 'a']]) {
    const { code, stderr } = await ana.fleet(args)
    expect({ args, code, stderr }).toMatchObject({ args, code: 4 })
    expect(stderr).toContain('there is no inventory')
    expect(stderr).toContain('fleet init')
  }
})

test('init writes the inventory where it is told to, and no other', async () => {
  await rm(inFolder('machines.yaml'))
  const env = { FLEET_INVENTORY: 'by-environment.yaml' }
  expect(await ana.fleet(['init', '--inventory', 'ops/by-option.yaml'])).toMatchObject({ code: 0 })
  expect(await ana.fleet(['init'], { env })).toMatchObject({ code: 0 })
  expect(await ana.fleet(['init', 'folder'])).toMatchObject({ code: 0 })
  for (const file of ['ops/by-option.yaml', 'by-environment.yaml', 'folder/machines.yaml']) {
    expect(await readFile(inFolder(file), 'utf8')).toContain('version: 1')
  }
  await expect(access(inFolder('machines.yaml'))).rejects.toThrow('ENOENT')
  expect(await ana.fleet(['init', 'other'], { env })).toMatchObject({ code: 2 })
  await expect(access(inFolder('other'))).rejects.toThrow('ENOENT')
})

test('ls marks the machine that plain commands mean', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  await ana.fleet(['use', 'here'])
  const marked = async (env = {}): Promise<string[]> => {
    const { stdout } = await ana.fleet(['ls', '--json'], { env })
    const rows = JSON.parse(stdout) as { name: string; active: boolean }[]
    return rows.filter(({ active }) => active).map(({ name }) => name)
  }
  expect(await marked()).toEqual(['here'])
  expect(await marked({ FLEET_MACHINE: 'there' })).toEqual(['there'])
})

test('a machine whose creation was cut short has no address, and is not this computer', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  expect((await ana.fleet(['ls', '--on', 'half'])).stdout).toBe(
    'half\t\tfrom-tomorrow\t\trole=web\tcreating\n',
  )
  expect(await ana.fleet(['ip', 'half'])).toMatchObject({ code: 5, stdout: '' })
  expect((await ana.fleet(['ip', 'here', 'there'])).stdout).toBe('127.0.0.1\nthere.invalid\n')
})

test('label without a change reads, without touching the file', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  expect((await ana.fleet(['label', 'half'])).stdout).toBe('role=web\n')
  expect(await ana.inventory()).toBe(inventory)
})

test.each([
  [['ls', '--timeout', '3'], '--live'],
  [['ip', '--parallel', '3'], '--parallel'],
  [['adopt', 'there.invalid', '-i', '/nowhere/id'], '/nowhere/id'],
])('%j would do nothing that was meant, and is refused', async (args, named) => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const { code, stderr } = await ana.fleet(args)
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(named) })
  expect(await ana.inventory()).toBe(inventory)
})
