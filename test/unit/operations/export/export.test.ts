import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import type { ReadyMachine } from '../../../../src/machine/machine.ts'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { describeForAnsible } from '../../../../src/operations/export/ansible.ts'
import { describeForPrometheus } from '../../../../src/operations/export/prometheus.ts'
import { describeForTerraform } from '../../../../src/operations/export/terraform.ts'

const machines: readonly ReadyMachine[] = [
  {
    name: parseMachineName('web.1'),
    driver: 'aws',
    labels: { 'app/role': 'web', '2nd': 'x' },
    host: { phase: 'ready', id: 'i-1', address: '2001:db8::1', user: 'fleet' },
  },
  { name: parseMachineName('here'), driver: 'local', host: { phase: 'ready' } },
]

it('the Ansible inventory has valid group names, and uses no SSH for this computer', () => {
  const inventory = describeForAnsible(machines, '/h/x.conf')
  expect(Object.keys(inventory)).toEqual([
    '_meta',
    'all',
    'driver_aws',
    'app_role_web',
    '_2nd_x',
    'driver_local',
  ])
  expect(inventory['_meta']).toEqual({
    hostvars: {
      'web.1': {
        ansible_host: 'web.1',
        ansible_ssh_common_args: '-F /h/x.conf',
        ansible_user: 'fleet',
        fleet_address: '2001:db8::1',
        fleet_driver: 'aws',
        fleet_app_role: 'web',
        fleet__2nd: 'x',
      },
      here: { ansible_connection: 'local', fleet_driver: 'local' },
    },
  })
})

it('the Prometheus targets have valid addresses and label names', () => {
  expect(describeForPrometheus(machines, 9100)).toEqual([
    {
      targets: ['[2001:db8::1]:9100'],
      labels: { app_role: 'web', _2nd: 'x', machine: 'web.1', driver: 'aws' },
    },
    { targets: ['localhost:9100'], labels: { machine: 'here', driver: 'local' } },
  ])
})

it('the Terraform import blocks contain the hosts with a provider ID', () => {
  expect(describeForTerraform(machines)).toEqual({
    text: 'import {\n  to = aws_instance.web_1\n  id = "i-1"\n}\n',
    skipped: ['here'],
  })
})

/** Returns a valid machine with one unusual value. */
const machineWith = (change: Partial<ReadyMachine['host']>, labels = {}): ReadyMachine => ({
  name: parseMachineName('web-1'),
  driver: 'aws',
  labels,
  host: { phase: 'ready', id: 'i-1', address: '192.0.2.1', user: 'fleet', ...change },
})

it.each<[string, ReadyMachine]>([
  ['address', machineWith({ address: '192.0.2.1 ansible_connection=local' })],
  ['address', machineWith({ address: '{{lookup("pipe","id")}}' })],
  ['user', machineWith({ user: 'root\nansible_connection: local' })],
  ['user', machineWith({ user: '-oProxyCommand=id' })],
  ['label note', machineWith({}, { note: "{{ lookup('pipe', 'id') }}" })],
])('the Ansible inventory refuses an unsafe %s', (field, machine) => {
  expect(() => describeForAnsible([machine], '/h/x.conf')).toThrow(
    expect.objectContaining({
      kind: 'inventory',
      machine: 'web-1',
      message: expect.stringContaining(`the ${field} of web-1`),
    }),
  )
})

it('the Terraform import blocks have unique names, and escape templates', () => {
  const { text } = describeForTerraform([
    machineWith({ id: 'i-${file("x")}%{if true}"\\' }),
    { ...machineWith({}), name: parseMachineName('web.1') },
    { ...machineWith({}), name: parseMachineName('web-1') },
  ])
  expect(text).toContain(String.raw`id = "i-` + '$${file(\\"x\\")}%%{if true}\\"\\\\"')
  expect(text.match(/to = .*/g)).toEqual([
    'to = aws_instance.web-1',
    'to = aws_instance.web_1',
    'to = aws_instance.web-1_2',
  ])
  expect(() => describeForTerraform([machineWith({ id: 'i-1\n}' })])).toThrow('the id of web-1')
})

it('the Prometheus targets refuse an invalid address', () => {
  expect(() => describeForPrometheus([machineWith({ address: 'a/b?x=' })], 9100)).toThrow(
    'the address of web-1',
  )
})

it.skipIf(spawnSync('terraform', ['version']).error !== undefined)(
  'the Terraform import blocks are accepted by terraform fmt unchanged',
  () => {
    const others = machines.map((machine) => ({ ...machine, name: parseMachineName('2nd.web') }))
    const { text } = describeForTerraform([...machines, ...others, machineWith({ id: '${a}' })])
    const answer = spawnSync('terraform', ['fmt', '-check', '-diff', '-'], {
      input: text,
      encoding: 'utf8',
    })
    expect(answer).toMatchObject({ status: 0, stdout: '' })
  },
)
