import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import type { ReadyMachine } from '../../src/machine/machine.ts'
import { parseMachineName } from '../../src/machine/name.ts'
import { describeForAnsible } from '../../src/operations/handing-over/ansible.ts'
import { describeForPrometheus } from '../../src/operations/handing-over/prometheus.ts'
import { describeForTerraform } from '../../src/operations/handing-over/terraform.ts'

const machines: readonly ReadyMachine[] = [
  {
    name: parseMachineName('web.1'),
    driver: 'aws',
    labels: { 'app/role': 'web', '2nd': 'x' },
    host: { phase: 'ready', id: 'i-1', address: '2001:db8::1', user: 'fleet' },
  },
  { name: parseMachineName('here'), driver: 'local', host: { phase: 'ready' } },
]

it('Ansible is given groups that it takes, and this computer without ssh', () => {
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
        ansible_ssh_common_args: '-F "/h/x.conf"',
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

it('Prometheus is given targets and labels that it takes', () => {
  expect(describeForPrometheus(machines, 9100)).toEqual([
    {
      targets: ['[2001:db8::1]:9100'],
      labels: { app_role: 'web', _2nd: 'x', machine: 'web.1', driver: 'aws' },
    },
    { targets: ['localhost:9100'], labels: { machine: 'here', driver: 'local' } },
  ])
})

it('Terraform is given what a provider knows by an id', () => {
  expect(describeForTerraform(machines)).toEqual({
    text: 'import {\n  to = aws_instance.web_1\n  id = "i-1"\n}\n',
    leftOut: ['here'],
  })
})

it.skipIf(spawnSync('terraform', ['version']).error !== undefined)(
  'Terraform itself takes that as it stands',
  () => {
    const odd = machines.map((machine) => ({ ...machine, name: parseMachineName('2nd.web') }))
    const { text } = describeForTerraform([...machines, ...odd])
    const answer = spawnSync('terraform', ['fmt', '-check', '-diff', '-'], {
      input: text,
      encoding: 'utf8',
    })
    expect(answer).toMatchObject({ status: 0, stdout: '' })
  },
)
