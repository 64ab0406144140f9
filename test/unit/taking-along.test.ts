import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDockerMachine } from '../../src/operations/taking-along/docker-machine.ts'
import { readSshAliases } from '../../src/operations/taking-along/ssh-config.ts'
import { readTerraformState } from '../../src/operations/taking-along/terraform.ts'
import { dockerMachineConfigs } from '../support/docker-machine-configs.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-along-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('what Docker Machine keeps', () => {
  it.each([1, 2, 3] as const)('is read in version %s, for all drivers', async (version) => {
    const store = join(folder, `v${version}`)
    for (const [name, config] of Object.entries(dockerMachineConfigs(version))) {
      await mkdir(join(store, 'machines', name), { recursive: true })
      await writeFile(join(store, 'machines', name, 'config.json'), JSON.stringify(config))
      await writeFile(join(store, 'machines', name, 'id_rsa'), '')
    }
    const { hosts, leftOut } = await readDockerMachine(store, {})
    const key = (name: string) => ({
      identityFile: join(store, 'machines', name, 'id_rsa'),
      keyIsItsOwn: true,
    })
    expect(hosts).toEqual([
      { name: 'cloud', address: '203.0.113.10', user: 'ubuntu', ...key('cloud') },
      { name: 'drop', address: '203.0.113.13', user: 'root', ...key('drop') },
      { name: 'iron', address: '203.0.113.12', user: 'ana', port: 2222, ...key('iron') },
      { name: 'sky', address: '203.0.113.11', user: 'docker-user', ...key('sky') },
      { name: 'vm', address: '127.0.0.1', user: 'docker', port: 50_858, ...key('vm') },
    ])
    expect(leftOut).toEqual(['gone: it has no address (driver none)'])
    expect(JSON.stringify(hosts)).not.toMatch(/AKIA|hunter2|secret/i)
  })

  it('of a later version is left out', async () => {
    const store = join(folder, 'v9')
    await mkdir(join(store, 'machines/x'), { recursive: true })
    await writeFile(join(store, 'machines/x/config.json'), '{"ConfigVersion": 9}')
    expect(await readDockerMachine(store, {})).toEqual({
      hosts: [],
      leftOut: ['x: its configuration has version 9, and 3 is the newest known'],
    })
  })

  it('that is not there is said so', async () => {
    await expect(readDockerMachine(join(folder, 'none'), {})).rejects.toMatchObject({
      kind: 'usage',
    })
  })
})

/** A resource of a state. */
const one = (type: string, name: string, ...instances: object[]) => ({
  ...{ mode: 'managed', type, name, provider: 'provider["registry/x"]' },
  instances: instances.map((instance) => ({ schema_version: 1, ...instance })),
})

it('the hosts of a state of Terraform are read', async () => {
  const file = join(folder, 'terraform.tfstate')
  await writeFile(
    file,
    JSON.stringify({
      ...{ version: 4, terraform_version: '1.9.5', serial: 3, lineage: 'x', outputs: {} },
      resources: [
        one(
          'aws_instance',
          'web',
          { index_key: 0, attributes: { public_ip: '203.0.113.1', tags: { Name: 'web_a' } } },
          { index_key: 1, attributes: { public_ip: '', private_ip: '10.0.0.2', tags: null } },
        ),
        one('azurerm_linux_virtual_machine', 'db', {
          attributes: { name: 'db-1', public_ip_address: '203.0.113.3', admin_username: 'ana' },
        }),
        one('google_compute_instance', 'g', {
          attributes: {
            name: 'g-1',
            network_interface: [{ access_config: [{ nat_ip: '203.0.113.4' }], network_ip: '10.1' }],
          },
        }),
        one('hcloud_server', 'h', { attributes: { name: 'h-1', ipv4_address: '' } }),
        one('aws_vpc', 'v', { attributes: { id: 'vpc-1' } }),
        { mode: 'data', type: 'aws_instance', name: 'seen', instances: [{ attributes: {} }] },
      ],
    }),
  )
  expect(await readTerraformState(file)).toEqual({
    hosts: [
      { name: 'web-a', address: '203.0.113.1', user: undefined },
      { name: 'web-1', address: '10.0.0.2', user: undefined },
      { name: 'db-1', address: '203.0.113.3', user: 'ana' },
      { name: 'g-1', address: '203.0.113.4', user: undefined },
    ],
    leftOut: ['h: it has no address'],
  })
})

it('the hosts that a configuration of ssh names are found, in files that it includes too', async () => {
  const ssh = join(folder, '.ssh')
  await mkdir(join(ssh, 'more'), { recursive: true })
  await writeFile(
    join(ssh, 'config'),
    'Include more/*\nHost web-1 "web-2" web-*\n  User ana\nhost=db !x\nMatch all\nHost *\n',
  )
  await writeFile(join(ssh, 'more/a'), 'Host  api-1\n')
  expect(await readSshAliases(undefined, { HOME: folder })).toEqual([
    'api-1',
    'web-1',
    'web-2',
    'db',
  ])
})
