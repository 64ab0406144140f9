import { expect, test } from 'vitest'
import { describeHost } from '../../../../src/commands/inventory/describe-hosts.ts'
import { planDescriber } from '../../../../src/commands/inventory/show-plan.ts'
import { networkGrants } from '../../../../src/drivers/grants.ts'
import { drivers } from '../../../../src/drivers/index.ts'
import { checkOptions } from '../../../../src/drivers/options/option-flags.ts'
import type { Change, ChangePlan } from '../../../../src/operations/plan/change-plan.ts'
import { capturedIo } from '../../../support/fake-io.ts'

const planOf = (parts: Partial<ChangePlan>): ChangePlan => ({
  ...{ version: 1, inventory: '', changes: [], drift: [], issues: [] },
  ...parts,
})

function hostOf(driver: string, options: Readonly<Record<string, unknown>>) {
  const definition = drivers.find(({ name }) => name === driver)
  if (definition === undefined) throw new Error(`no driver ${driver}`)
  return describeHost(definition, checkOptions(definition, options))
}

const nothing = { hosts: new Map(), total: 0 }

function shown(plan: ChangePlan, surroundings = nothing): string {
  const { io } = capturedIo({ isTTY: false })
  return planDescriber(io, 'stdout', surroundings)(plan).rendered
}

test('a planned creation shows the host, who can connect to it, and what it is allowed to use', () => {
  const options = { region: 'eu-west-1', type: 't4g.small', ports: '443,80', profile: 'ops' }
  const hosts = new Map([['web-1', hostOf('aws', options)]])
  const open = networkGrants(options).map(({ what }) => what)
  const grants = ['the AWS profile ops on this computer', ...open]
  const changes: Change[] = [
    { machine: 'web-1', action: 'create', why: 'no host yet', grants },
    { machine: 'db', action: 'change', why: 'disk 20 -> 40', stops: true },
    { machine: 'old', action: 'remove', why: 'profile web sets "count: 1"', destructive: true },
  ]
  expect(shown(planOf({ changes }), { hosts, total: 3 })).toBe(
    [
      'fleet apply will make these changes:',
      '  + web-1: create (no host yet)',
      '      aws, eu-west-1, t4g.small, 20 GiB disk, debian-13',
      '      SSH from your current address only; ports 443/tcp, 80/tcp from anywhere',
      '      uses the AWS profile ops on this computer',
      '  ~ db: change (disk 20 -> 40; the host will be stopped temporarily)',
      'fleet apply will delete these hosts and all data on them, after confirmation:',
      '  - old: remove (profile web sets "count: 1")',
      'Plan: 1 to create, 1 to change, 1 to remove.',
      '',
    ].join('\n'),
  )
})

test.each([
  [
    'aws',
    { securityGroups: 'sg-0123abcd', privateOnly: true, zone: 'eu-west-1a', spot: 'only' },
    'aws, default region, zone eu-west-1a, t3.small, 20 GiB disk, debian-13, spot',
    'SSH and other ports, as allowed by security groups sg-0123abcd; no public address',
  ],
  [
    'azure',
    { location: 'westeurope', sshCidr: '203.0.113.0/24' },
    'azure, westeurope, Standard_B2als_v2, disk size from the image, debian-13',
    'SSH from 203.0.113.0/24; no other ports',
  ],
  [
    'qemu',
    { cpus: 1, memory: 512 },
    'qemu, 1 CPU, 512 MiB memory, 20 GiB disk, debian-13',
    'SSH from this computer only',
  ],
])('describes what %s creates with %j', (driver, options, what, access) => {
  expect(hostOf(driver, options)).toMatchObject({ what, access })
})

const change = (machine: string, action: Change['action']): Change => ({
  ...{ machine, action, why: 'x' },
})

test('the summary counts machines by kind of change', () => {
  const changes = [
    change('a', 'create'),
    change('b', 'adopt'),
    change('c', 'operators'),
    change('c', 'engine'),
    change('d', 'replace'),
  ]
  expect(shown(planOf({ changes }))).toContain(
    'Plan: 1 to create, 1 to adopt, 1 to change, 1 to replace, 0 to remove.\n',
  )
  expect(shown(planOf({}))).toBe('nothing to do\n')
})

test('a change common to all machines, or to many, is one entry', () => {
  const changes = Array.from({ length: 920 }, (_, index): Change => ({
    ...{ machine: `web-${index + 1}`, action: 'operators', why: 'add key of ben' },
  }))
  const lines = (total: number) =>
    shown(planOf({ changes }), { hosts: new Map(), total }).split('\n')
  expect(lines(920)).toEqual([
    'fleet apply will make these changes:',
    '  ~ all 920 machines: operators (add key of ben)',
    'Plan: 0 to create, 920 to change, 0 to remove.',
    '',
  ])
  expect(lines(921).slice(1, 3)).toEqual([
    '  ~ 920 machines: operators (add key of ben)',
    '      web-1..web-920',
  ])
})

test('signs are colored by kind of change, and control characters are escaped', () => {
  const { io } = capturedIo({ isTTY: true })
  const changes: Change[] = [{ machine: 'a', action: 'create', why: '\u001B[2J' }]
  const text = planDescriber(io, 'stdout', nothing)(planOf({ changes })).rendered
  expect(text).toContain('\u001B[32m+\u001B[39m a: create')
  expect(text).toContain(String.raw`(\u001b[2J)`)
})
