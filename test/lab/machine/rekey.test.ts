import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMachine } from '../../../src/operations/create/create-machine.ts'
import { type KeyChange, rekeyMachine } from '../../../src/operations/machine/rekey-machine.ts'
import type { MachineEntry } from '../../../src/machine/machine.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import { fingerprint } from '../../../src/transport/ssh/host-keys/host-key.ts'
import { run } from '../../../src/transport/run.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'

let lab: Lab
let host: LabHost
let operator: Operator

async function rekey(confirm: (change: KeyChange) => Promise<boolean>): Promise<KeyChange> {
  await using fleet = operator.open()
  const machine = await operator.machine('m')
  if (machine === undefined) throw new Error('no machine m')
  return await rekeyMachine(fleet, machine, confirm)
}

async function whoAmI(): Promise<string> {
  await using fleet = operator.open()
  const machine = await operator.machine('m')
  if (machine === undefined) throw new Error('no machine m')
  return (await run(await fleet.connect(machine), ['whoami'])).stdout
}

const moved = ({ host, ...entry }: MachineEntry): MachineEntry => ({
  ...entry,
  ...(host && { host: { ...host, address: '10.77.0.250' } }),
})

const nobody = async () => {
  throw new Error('nobody was to be asked')
}

describe.skipIf(!labIsHere)('rekey', () => {
  let before: string
  beforeAll(async () => {
    lab = await startLab({ hosts: 1 })
    ;[host] = lab.hosts as [LabHost]
    operator = await makeOperator({ identity: lab.identity.file })
    await using fleet = operator.open()
    await createMachine(
      fleet,
      {
        name: parseMachineName('m'),
        driver: 'ssh',
        options: { address: host.address, user: 'root' },
        engine: 'none',
        trust: { expected: fingerprint(host.hostKey) },
      },
      { progress: () => {}, approve: async () => false },
    )
    before = host.hostKey
  })
  afterAll(async () => {
    await operator[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('refuses an unchanged key without a prompt', async () => {
    const inventory = await operator.inventory()
    await expect(rekey(nobody)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('nothing was changed'),
    })
    expect(await operator.inventory()).toBe(inventory)
  })

  test('keeps the old key if the new one is not confirmed, and logins remain refused', async () => {
    await host.replaceHostKey()
    const inventory = await operator.inventory()
    const change = { before: [fingerprint(before)], after: fingerprint(host.hostKey) }
    const shown: KeyChange[] = []
    await expect(rekey(async (change) => shown.push(change) === 0)).rejects.toMatchObject({
      kind: 'cancelled',
    })
    expect(shown).toEqual([change])
    expect(await operator.inventory()).toBe(inventory)
    await expect(whoAmI()).rejects.toMatchObject({ kind: 'host-key' })
  })

  test('pins nothing if the entry was removed or changed during the prompt', async () => {
    const inventory = await operator.inventory()
    const failed = { kind: 'failed', machine: 'm' }
    const byAnother = async (change: (entry: MachineEntry) => MachineEntry | undefined) => {
      await using fleet = operator.open()
      const store = await fleet.inventory()
      await store.update(parseMachineName('m'), (entry) => entry && change(entry))
      return true
    }
    await expect(rekey(() => byAnother(moved))).rejects.toMatchObject(failed)
    expect((await operator.machine('m'))?.host?.hostKeys).toEqual([before])
    await writeFile(operator.inventoryFile, inventory)
    await expect(rekey(() => byAnother(() => undefined))).rejects.toMatchObject(failed)
    await writeFile(operator.inventoryFile, inventory)
  })

  test('pins only the new key, once it is confirmed', async () => {
    await rekey(async () => true)
    expect((await operator.machine('m'))?.host?.hostKeys).toEqual([host.hostKey])
    expect(await whoAmI()).toBe('root\n')
  })
})

test('rekey is refused for the machine that is this computer', async () => {
  await using user = await makeOperator({
    inventory:
      'version: 1\nid: 0123abcd\nmachines:\n  me: { driver: local, host: { phase: ready } }\n',
  })
  await using fleet = user.open()
  const machine = await user.machine('me')
  if (machine === undefined) throw new Error('no machine me')
  await expect(rekeyMachine(fleet, machine, async () => true)).rejects.toMatchObject({
    kind: 'usage',
    machine: 'me',
  })
})
