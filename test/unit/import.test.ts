import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDockerMachine } from '../../src/operations/import/docker-machine.ts'
import { readSshAliases } from '../../src/operations/import/ssh-config.ts'
import { readTerraformState } from '../../src/operations/import/terraform.ts'
import { dockerMachineConfigs, secret } from '../support/docker-machine-configs.ts'

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
    const { hosts, skipped } = await readDockerMachine(store, {})
    const key = (name: string) => ({
      identityFile: join(store, 'machines', name, 'id_rsa'),
      keyIsItsOwn: true,
    })
    const id = 'i-0a1b2c3d4e5f60718'
    const subscription = '0a0b0c0d-0000-4000-8000-000000000001'
    const cloud = { driver: 'aws', id, options: { region: 'eu-west-1' } }
    const sky = { driver: 'azure', id: 'docker-machine/sky', options: { subscription } }
    const vm = { driver: 'virtualbox', id: 'vm', options: {} }
    expect(hosts).toEqual([
      { name: 'cloud', address: '203.0.113.10', user: 'ubuntu', ...key('cloud'), known: cloud },
      { name: 'iron', address: '203.0.113.12', user: 'ana', port: 2222, ...key('iron') },
      ...(version < 3 ? [] : [{ name: 'sky', user: 'docker-user', ...key('sky'), known: sky }]),
      { name: 'vm', address: '127.0.0.1', user: 'docker', port: 50_858, ...key('vm'), known: vm },
    ])
    expect(skipped).toEqual([
      'gone: it has no address (driver none)',
      ...(version < 3 ? ['sky: it has no address (driver azure)'] : []),
    ])
    expect(JSON.stringify(hosts)).not.toMatch(new RegExp(`AKIA|${secret}`))
  })

  it.each([
    [
      { Environment: 'AzureChinaCloud', NoPublicIP: true },
      { cloud: 'china', privateOnly: true },
    ],
    [{ Environment: 'AzureUSGovernmentCloud', SubscriptionID: '' }, { cloud: 'usgov' }],
  ])('of Azure is asked for where it is: %j', async (fields, options) => {
    const store = join(folder, JSON.stringify(options))
    await mkdir(join(store, 'machines/x'), { recursive: true })
    const Driver = { MachineName: 'x', ResourceGroup: 'g', ...fields }
    const config = { ConfigVersion: 3, DriverName: 'azure', Driver }
    await writeFile(join(store, 'machines/x/config.json'), JSON.stringify(config))
    const { hosts } = await readDockerMachine(store, {})
    expect(hosts).toMatchObject([{ known: { driver: 'azure', id: 'g/x' } }])
    expect(hosts[0]?.known?.options).toEqual(options)
  })

  it('of a later version is left out', async () => {
    const store = join(folder, 'v9')
    await mkdir(join(store, 'machines/x'), { recursive: true })
    await writeFile(join(store, 'machines/x/config.json'), '{"ConfigVersion": 9}')
    expect(await readDockerMachine(store, {})).toEqual({
      hosts: [],
      skipped: ['x: its configuration has version 9, and 3 is the newest known'],
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

const arn = 'arn:aws:ec2:eu-west-3:852350637351:instance'
const azureId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/db-1'

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
          {
            index_key: 0,
            attributes: {
              ...{ ami: 'ami-00798d7180f25aac2', arn: `${arn}/i-1`, id: 'i-1' },
              ...{ availability_zone: 'eu-west-3a', instance_type: 't3.micro' },
              ...{ private_ip: '10.0.0.1', public_ip: '203.0.113.1', tags: { Name: 'web_a' } },
              ...{ user_data: null, get_password_data: false, password_data: '' },
            },
            sensitive_attributes: [],
            private: 'eyJzY2hlbWFfdmVyc2lvbiI6IjEifQ==',
          },
          {
            index_key: 1,
            attributes: { arn: `${arn}/i-2`, id: 'i-2', public_ip: '', private_ip: '10.0.0.2' },
          },
        ),
        one('azurerm_linux_virtual_machine', 'db', {
          attributes: {
            ...{ admin_password: 'hunter2', admin_username: 'ana', computer_name: 'db-1' },
            ...{ custom_data: 'hunter2', id: azureId, location: 'westeurope', name: 'db-1' },
            ...{ private_ip_address: '10.0.0.3', public_ip_address: '203.0.113.3' },
            ...{ resource_group_name: 'g', size: 'Standard_B2s', zone: null },
          },
        }),
        one('azurerm_virtual_machine', 'old', { attributes: { name: 'old', id: azureId } }),
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
  const aws = { driver: 'aws', id: 'i-1', options: { region: 'eu-west-3' } }
  const privately = { ...aws, id: 'i-2', options: { region: 'eu-west-3', privateOnly: true } }
  const azure = { driver: 'azure', id: azureId, options: {} }
  expect(await readTerraformState(file)).toEqual({
    hosts: [
      { name: 'web-a', address: '203.0.113.1', user: undefined, known: aws },
      { name: 'web-1', address: '10.0.0.2', user: undefined, known: privately },
      { name: 'db-1', address: '203.0.113.3', user: 'ana', known: azure },
      { name: 'old', user: undefined, known: azure },
      { name: 'g-1', address: '203.0.113.4', user: undefined },
    ],
    skipped: ['h: it has no address'],
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
