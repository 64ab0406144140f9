import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import type { UserError } from '../../../../src/errors.ts'
import { readTerraformState } from '../../../../src/operations/import/terraform/read-hosts.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-terraform-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Reads a state file with these contents. */
async function read(state: unknown) {
  const file = join(folder, 'terraform.tfstate')
  await writeFile(file, typeof state === 'string' ? state : JSON.stringify(state))
  return readTerraformState(file)
}

/** Returns a state of format version 4 with these resources. */
const stateOf = (...resources: object[]) => ({
  ...{ version: 4, terraform_version: '1.9.5', serial: 3, lineage: 'x', outputs: {} },
  resources,
})

/** Returns a managed resource with these instances. */
const one = (type: string, name: string, ...instances: object[]) => ({
  ...{ mode: 'managed', type, name, provider: 'provider["registry/x"]' },
  instances: instances.map((instance) => ({ schema_version: 1, ...instance })),
})

const arn = 'arn:aws:ec2:eu-west-3:852350637351:instance'
const azureId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/db-1'

it('reads the hosts of a Terraform state', async () => {
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
      { name: 'web-a', address: '203.0.113.1', known: aws },
      { name: 'web-1', address: '10.0.0.2', known: privately },
      { name: 'db-1', address: '203.0.113.3', user: 'ana', known: azure },
      { name: 'old', known: azure },
      { name: 'g-1', address: '203.0.113.4' },
    ],
    skipped: [
      { title: 'hcloud_server.h', reason: "the state does not contain the host's address" },
    ],
  })
})

const instance = (attributes: object) =>
  one('aws_instance', 'web', {
    attributes: { arn: `${arn}/i-1`, id: 'i-1', private_ip: '10.0.0.2', ...attributes },
  })

const server = (module: string | undefined, name: string, index: number | string) => ({
  ...one('hcloud_server', name, {
    index_key: index,
    attributes: { name: 'web', ipv4_address: `198.51.100.${index}` },
  }),
  ...(module && { module }),
})

describe('an AWS instance in a Terraform state', () => {
  const publicly = { driver: 'aws', id: 'i-1', options: { region: 'eu-west-3' } }

  it.each([
    [{ type: 'aws_eip', attributes: { instance: 'i-1', public_ip: '198.51.100.7' } }],
    [{ type: 'aws_eip', attributes: { network_interface: 'eni-1', public_ip: '198.51.100.7' } }],
    [
      {
        type: 'aws_eip_association',
        attributes: { instance_id: 'i-1', allocation_id: 'a', public_ip: '198.51.100.7' },
      },
    ],
  ])(
    'has the Elastic IP address that another resource assigns: $type',
    async ({ type, attributes }) => {
      const { hosts } = await read(
        stateOf(
          instance({ public_ip: '', primary_network_interface_id: 'eni-1' }),
          one(type, 'ip', { attributes }),
        ),
      )
      expect(hosts).toEqual([{ name: 'web', address: '198.51.100.7', known: publicly }])
    },
  )

  it('has the Elastic IP address of its association, found by the allocation ID', async () => {
    const { hosts } = await read(
      stateOf(
        instance({ public_ip: '' }),
        one('aws_eip', 'ip', { attributes: { id: 'eipalloc-1', public_ip: '198.51.100.7' } }),
        one('aws_eip_association', 'ip', {
          attributes: { instance_id: 'i-1', allocation_id: 'eipalloc-1' },
        }),
      ),
    )
    expect(hosts).toMatchObject([{ address: '198.51.100.7' }])
  })

  it.each(['stopped', 'stopping', 'pending'])('that is %s is not private', async (state) => {
    const { hosts } = await read(stateOf(instance({ instance_state: state, public_ip: '' })))
    expect(hosts).toEqual([{ name: 'web', known: publicly }])
  })

  it('that is terminated is skipped', async () => {
    const { hosts, skipped } = await read(stateOf(instance({ instance_state: 'terminated' })))
    expect(hosts).toEqual([])
    expect(skipped).toEqual([{ title: 'aws_instance.web', reason: 'the instance is terminated' }])
  })
})

describe('an Azure virtual machine in a Terraform state', () => {
  const nic = '/subscriptions/s/networkInterfaces/n'
  const machine = one('azurerm_linux_virtual_machine', 'db', {
    attributes: {
      ...{ id: azureId, name: 'db', network_interface_ids: [nic], private_ip_address: '10.0.0.3' },
      public_ip_address: '',
    },
  })
  const withInterface = (configuration: object) =>
    one('azurerm_network_interface', 'n', {
      attributes: { id: nic.toUpperCase(), ip_configuration: [configuration] },
    })
  const known = { driver: 'azure', id: azureId, options: {} }

  it('that temporarily has no address is not considered private', async () => {
    const expected = [{ name: 'db', known }]
    const dynamic = withInterface({ public_ip_address_id: '/subscriptions/s/ip' })
    expect((await read(stateOf(machine, dynamic))).hosts).toEqual(expected)
    expect((await read(stateOf(machine))).hosts).toEqual(expected)
  })

  it('is private if it has no public IP address resource', async () => {
    const { hosts } = await read(stateOf(machine, withInterface({ public_ip_address_id: '' })))
    const options = { privateOnly: true }
    expect(hosts).toEqual([{ name: 'db', address: '10.0.0.3', known: { ...known, options } }])
  })

  it('has the address of its public IP address resource', async () => {
    const { hosts } = await read(
      stateOf(
        machine,
        withInterface({ public_ip_address_id: '/subscriptions/s/ip' }),
        one('azurerm_public_ip', 'ip', {
          attributes: { id: '/subscriptions/S/ip', ip_address: '198.51.100.8' },
        }),
      ),
    )
    expect(hosts).toEqual([{ name: 'db', address: '198.51.100.8', known }])
  })
})

test('skips deposed objects', async () => {
  const { hosts } = await read(
    stateOf(
      one(
        'hcloud_server',
        'web',
        { attributes: { name: 'new', ipv4_address: '198.51.100.2' } },
        { deposed: '1a2b3c4d', attributes: { name: 'old', ipv4_address: '198.51.100.1' } },
      ),
    ),
  )
  expect(hosts).toEqual([{ name: 'new', address: '198.51.100.2' }])
})

test('names hosts with the same name after their resources and modules', async () => {
  const { hosts } = await read(
    stateOf(
      server(undefined, 'a', 0),
      server('module.shop', 'a', 0),
      server('module.shop["eu"].module.x', 'b', 'k'),
    ),
  )
  expect(hosts.map(({ name }) => name)).toEqual(['a-0', 'shop-a-0', 'b-k'])
})

test('reports unknown resource types that sound like hosts, but no others', async () => {
  const { hosts, skipped } = await read(
    stateOf(
      one('acme_instance', 'a', { attributes: {} }),
      one('aws_autoscaling_group', 'g', { attributes: {} }),
      one('aws_db_instance', 'd', { attributes: {} }),
      one('azurerm_mssql_server', 's', { attributes: {} }),
      one('aws_nat_gateway', 'n', { attributes: { public_ip: '198.51.100.1' } }),
    ),
  )
  expect(hosts).toEqual([])
  expect(skipped.map(({ title }) => title)).toEqual(['acme_instance.a', 'aws_autoscaling_group.g'])
  expect(skipped[0]?.reason).toContain('fleet adopt USER@ADDRESS')
})

test('reads the output of terraform show -json', async () => {
  const { hosts } = await read({
    format_version: '1.0',
    terraform_version: '1.9.5',
    values: {
      root_module: {
        resources: [
          {
            ...{ address: 'hcloud_server.a', mode: 'managed', type: 'hcloud_server', name: 'a' },
            values: { name: 'a', ipv4_address: '198.51.100.1' },
          },
          {
            ...{ mode: 'managed', type: 'hcloud_server', name: 'a', deposed_key: '1a2b3c4d' },
            values: { name: 'old', ipv4_address: '198.51.100.9' },
          },
        ],
        child_modules: [
          {
            address: 'module.m',
            resources: [
              {
                ...{ mode: 'managed', type: 'linode_instance', name: 'b', index: 1 },
                values: { label: 'b_1', ip_address: '198.51.100.2' },
              },
            ],
          },
        ],
      },
    },
  })
  expect(hosts).toEqual([
    { name: 'a', address: '198.51.100.1' },
    { name: 'b-1', address: '198.51.100.2' },
  ])
})

test.each([
  [{ version: 3, modules: [] }, 'version 3', 'terraform apply -refresh-only'],
  [{ version: 1 }, 'version 1', 'terraform apply -refresh-only'],
  [{ version: 5, resources: [] }, 'version 5', 'terraform show -json'],
  [{ version: 3, backend: { type: 's3' } }, 'contains only the backend', 'terraform state pull'],
  [{ meta: {}, encrypted_data: 'x', version: 4 }, 'encrypted', 'tofu show -json'],
  [[], 'is not a Terraform state file', 'terraform.tfstate'],
  ['', 'the file is empty', ''],
  ['{', 'is not valid JSON', ''],
])('refuses %j with a helpful command', async (state, message, hint) => {
  const error = await read(state).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ kind: 'usage', message: expect.stringContaining(message) })
  expect((error as UserError).hint ?? '').toContain(hint)
})
