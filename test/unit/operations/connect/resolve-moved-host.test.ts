import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coversRange, parseCidrs } from '../../../../src/drivers/net/cidrs.ts'
import type { Driver } from '../../../../src/drivers/driver.ts'
import { recordedSshAccess } from '../../../../src/drivers/net/ssh-access.ts'
import type { ReadyMachine } from '../../../../src/machine/machine.ts'
import type { Context } from '../../../../src/operations/context.ts'
import { resolveMovedHost } from '../../../../src/operations/connect/resolve-moved-host.ts'
import { ConnectTimeout, explainFailure } from '../../../../src/transport/ssh/connection-errors.ts'

const token = '00000000-0000-4000-8000-000000000001'

const machineWith = (more: object = {}, sshCidr = '203.0.113.9/32'): ReadyMachine =>
  ({
    name: 'web-1',
    driver: 'aws',
    host: {
      ...{ phase: 'ready', id: 'i-1', token, address: '192.0.2.1' },
      resources: { sshCidr, access: 'public' },
    },
    ...more,
  }) as unknown as ReadyMachine

/**
 * Simulates a connection that fails with `error`, to a host that runs at its recorded address. Resolves to the error
 * that is reported.
 */
async function follow(
  machine: ReadyMachine,
  caller: string,
  error: unknown,
  blockedBy?: () => Promise<string | undefined>,
): Promise<unknown> {
  const driver = {
    observe: async () => new Map([['web-1', { state: 'running', address: '192.0.2.1' }]]),
    sshAccess: recordedSshAccess(async () => ({ address: caller, source: 'test' }), blockedBy),
  } as unknown as Driver
  const context = { signal: new AbortController().signal, loadDriver: async () => driver }
  return resolveMovedHost(context as unknown as Context, machine, () =>
    Promise.reject(error),
  ).catch((thrown: unknown) => thrown)
}

const endpoint = { machine: 'web-1', address: '192.0.2.1', port: 22, user: 'fleet' }
const timeout = explainFailure(
  { stage: 'connecting', error: new ConnectTimeout(10) },
  endpoint,
).error
const refused = explainFailure(
  { stage: 'connecting', error: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }) },
  endpoint,
).error

const denied = () => Promise.reject(new Error('not allowed to ask'))

describe('a connection that times out', () => {
  test('reports that SSH is allowed from another address than the current one', async () => {
    expect(await follow(machineWith(), '198.51.100.4', timeout)).toMatchObject({
      kind: 'unreachable',
      machine: 'web-1',
      message:
        'cannot reach web-1 at 192.0.2.1: its firewall allows SSH from 203.0.113.9/32, but not from this computer (198.51.100.4)',
      hint: 'to allow this computer: fleet allow web-1',
    })
  })

  test('asks the provider for the firewall rules, which may have been changed elsewhere', async () => {
    const [here, blocked] = ['203.0.113.9', async () => 'the security group sg-1']
    expect(await follow(machineWith(), here, timeout, blocked)).toMatchObject({
      message:
        'cannot reach web-1 at 192.0.2.1: the security group sg-1 does not allow SSH from this computer (203.0.113.9)',
      hint: 'allow TCP port 22 from 203.0.113.9 in the security group sg-1',
    })
    expect(await follow(machineWith(), here, timeout, async () => undefined)).toBe(timeout)
    expect(await follow(machineWith(), here, timeout, denied)).toBe(timeout)
    const adopted = machineWith({ host: { ...machineWith().host, token: undefined } })
    expect(await follow(adopted, here, timeout, blocked)).toBe(timeout)
  })

  test.each([
    ['the firewall allows the current address', machineWith(), '203.0.113.9', timeout],
    [
      'the firewall allows a range that contains the current address',
      machineWith({}, '10.0.0.0/8,203.0.113.0/24'),
      '203.0.113.9',
      timeout,
    ],
    [
      'the connection is refused, which no firewall rule causes',
      machineWith(),
      '198.51.100.4',
      refused,
    ],
    [
      'the host is reached through a jump host',
      machineWith({ via: 'gate' }),
      '198.51.100.4',
      timeout,
    ],
  ])('keeps its original error if %s', async (_, machine, caller, error) => {
    expect(await follow(machine, caller, error)).toBe(error)
  })
})

const range = (address: string, length: number): string =>
  parseCidrs(`${address}/${length}`)?.[0] ?? ''

test('a CIDR range covers exactly the ranges whose addresses it all contains', () => {
  const inV4 = fc.tuple(fc.ipV4(), fc.nat(32), fc.nat(32))
  fc.assert(
    fc.property(inV4, ([address, a, b]) => {
      const [wide, narrow] = [range(address, Math.min(a, b)), range(address, Math.max(a, b))]
      expect(coversRange(wide, narrow)).toBe(true)
      expect(coversRange(narrow, wide)).toBe(a === b)
    }),
  )
  expect(coversRange('0.0.0.0/0', '::/0')).toBe(false)
  expect(coversRange('2001:db8::/32', '2001:db8:1::5/128')).toBe(true)
  expect(coversRange('2001:db8::/32', '2001:db9::5/128')).toBe(false)
})
