import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Machine } from '../../../src/machine/machine.ts'
import { type MachineName, parseMachineName } from '../../../src/machine/name.ts'
import type { Context } from '../../../src/operations/context.ts'
import {
  type AskName,
  checkCanForget,
  checkRemovable,
  forgetMachine,
  removeMachine,
} from '../../../src/operations/machine/remove-machine.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'

/** Removal connects to no host: these addresses do not exist. */
const inventory = `version: 1
id: 0123abcd
machines:
  # the way in
  jump: { driver: ssh, options: { address: jump.invalid }, host: { phase: ready } }
  inner: { driver: ssh, options: { address: inner.invalid }, via: jump, host: { phase: ready } }
  safe: # do not touch
    driver: ssh
    options: { address: safe.invalid }
    protected: true
    host: { phase: ready }
  planned: { driver: ssh, options: { address: planned.invalid } } # not yet
  cloudy: { driver: from-tomorrow, host: { phase: creating, token: 6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11 } }
`

let operator: Operator
beforeEach(async () => {
  operator = await makeOperator({ inventory })
})
afterEach(() => operator[Symbol.asyncDispose]())

const nobody = async () => {
  throw new Error('no prompt was expected')
}

/** The steps of a removal command, which checks all machines, and then removes them one by one. */
interface Removal {
  readonly check: (
    context: Context,
    machines: readonly Machine[],
    askName: AskName,
  ) => Promise<void>
  readonly take: (
    context: Context,
    machine: Machine,
    leaving: ReadonlySet<MachineName>,
  ) => Promise<void>
}

const { signal } = new AbortController()
const removal: Removal = {
  check: checkRemovable,
  take: (context, machine, leaving) =>
    removeMachine(context, machine, { progress: () => {}, signal, leaving }),
}
const forgetting: Removal = { check: checkCanForget, take: forgetMachine }

async function remove(
  names: readonly string[],
  askName: () => Promise<string> = nobody,
  { check, take } = removal,
): Promise<void> {
  await using fleet = operator.open()
  const { machines } = await (await fleet.inventory()).read()
  const found = names.flatMap((name) => machines.get(parseMachineName(name)) ?? [])
  await check(fleet, found, askName)
  const leaving = new Set(found.map(({ name }) => name))
  for (const machine of found) await take(fleet, machine, leaving)
}

describe('removing', () => {
  test('deletes the entry, and leaves every other byte unchanged', async () => {
    await remove(['planned'])
    expect(await operator.inventory()).toBe(
      inventory
        .split('\n')
        .filter((line) => !line.includes('planned'))
        .join('\n'),
    )
  })

  test('clears the active machine if it was removed', async () => {
    await using fleet = operator.open()
    const active = await fleet.active()
    await active.use(parseMachineName('inner'))
    await remove(['inner'])
    expect(await active.current()).toBeUndefined()
  })

  test('refuses a machine that is the jump host of another, and names that one', async () => {
    await expect(remove(['jump'])).rejects.toMatchObject({
      kind: 'usage',
      machine: 'jump',
      message: expect.stringContaining('inner'),
    })
    expect(await operator.inventory()).toBe(inventory)
  })

  test('removes both if both are named, in either order', async () => {
    await remove(['jump', 'inner'])
    expect(await operator.machine('jump')).toBeUndefined()
    expect(await operator.machine('inner')).toBeUndefined()
  })

  test('removes none if one of them cannot be removed', async () => {
    await expect(remove(['planned', 'jump'])).rejects.toMatchObject({ kind: 'usage' })
    expect(await operator.inventory()).toBe(inventory)
  })

  test('refuses a machine with an unknown driver, with a hint to forget it', async () => {
    await expect(remove(['planned', 'cloudy'])).rejects.toMatchObject({
      kind: 'unsupported',
      machine: 'cloudy',
      hint: expect.stringContaining('fleet forget cloudy'),
    })
    expect(await operator.inventory()).toBe(inventory)
    await remove(['cloudy'], nobody, forgetting)
    expect(await operator.machine('cloudy')).toBeUndefined()
  })

  test('requires typing the name of a protected machine', async () => {
    await expect(remove(['planned', 'safe'], async () => 'yes')).rejects.toMatchObject({
      kind: 'cancelled',
      machine: 'safe',
    })
    expect(await operator.inventory()).toBe(inventory)
    await remove(['safe'], async () => 'safe')
    expect(await operator.machine('safe')).toBeUndefined()
  })
})
