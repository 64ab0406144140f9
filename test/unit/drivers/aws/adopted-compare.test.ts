import { expect, test } from 'vitest'
import type { Ec2 } from '../../../../src/drivers/aws/api/ec2-api.ts'
import { compareHost } from '../../../../src/drivers/aws/machine/compare.ts'
import { type AwsOptions, awsOptions } from '../../../../src/drivers/aws/options.ts'
import type { HostRecord } from '../../../../src/machine/machine.ts'

const options = (given: Partial<AwsOptions>): AwsOptions =>
  awsOptions.parse({ region: 'eu-west-1', ...given })

const compare = (host: HostRecord, given: Partial<AwsOptions>) =>
  compareHost({} as Ec2, host, options(given), {
    state: 'running',
    options: { type: 't3.small' },
  })

const adopted: HostRecord = {
  phase: 'ready',
  id: 'i-0123456789abcdef0',
  resources: { region: 'eu-west-1', access: 'public', disk: '20' },
}

test.each([
  { option: 'ports', value: '80' },
  { option: 'sshCidr', value: '192.0.2.0/24' },
])(
  'the option $option of an adopted host cannot be changed in place',
  async ({ option, value }) => {
    const differences = await compare(adopted, { [option]: value })
    expect(differences.filter((one) => one.option === option)).toMatchObject([
      { how: 'replace', why: expect.stringContaining('security group') },
    ])
  },
)

test('reports no difference for ports and sshCidr if the entry of an adopted host does not set them', async () => {
  const found = (await compare(adopted, {})).map(({ option }) => option)
  expect(found).not.toContain('ports')
  expect(found).not.toContain('sshCidr')
})

test('ports of a host that fleet created are changed while it runs', async () => {
  const made: HostRecord = {
    ...adopted,
    token: '2b6e1f9e-6c0e-4a52-9d5d-0f5f5b0f7c11',
    resources: { ...adopted.resources, securityGroup: 'sg-0123456789abcdef0' },
  }
  expect(await compare(made, { ports: '80' })).toContainEqual({
    ...{ option: 'ports', from: 'none', to: '80/tcp' },
    how: 'live',
  })
})
