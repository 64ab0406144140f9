import { describe, expect, test } from 'vitest'
import type { HostRecord } from '../../../../src/machine/machine.ts'
import { formatSshConfig } from '../../../../src/machine/ssh-config-text.ts'
import { openTunnel } from '../../../../src/drivers/aws/tunnel.ts'

const resources = { region: 'eu-west-1', reach: 'ssm' }
const host: HostRecord = { phase: 'ready', id: 'i-0a1b2c3d4e5f60718', resources }

const config = (profile: string) =>
  formatSshConfig([
    {
      ...{ machine: 'web-1', names: ['web-1'], address: '10.0.0.7', port: 22 },
      ...{ hostKeyAlias: 'fleet.web-1', knownHostsFile: '/k' },
      proxyCommand: openTunnel({ ...host, resources: { ...resources, profile } })?.argv,
    },
  ])

const hintsOf = (reach: string) =>
  openTunnel({ ...host, resources: { ...resources, reach, profile: 'team a' } })?.hints

describe('the tunnel to an instance', () => {
  test('is an AWS CLI command with the ID, region, profile and port of the instance', () => {
    const profile = { ...resources, profile: 'team a' }
    expect(openTunnel({ ...host, port: 2222, resources: profile })?.argv).toEqual([
      ...['aws', 'ssm', 'start-session', '--target=i-0a1b2c3d4e5f60718'],
      ...['--document-name=AWS-StartSSHSession', '--parameters=portNumber=2222'],
      ...['--region=eu-west-1', '--profile=team a'],
    ])
    expect(openTunnel({ ...host, resources: { ...resources, reach: 'eice' } })?.argv).toEqual([
      ...['aws', 'ec2-instance-connect', 'open-tunnel', '--instance-id=i-0a1b2c3d4e5f60718'],
      ...['--remote-port=22', '--region=eu-west-1'],
    ])
    expect(openTunnel({ ...host, resources: { region: 'eu-west-1' } })).toBeUndefined()
  })

  test.each([
    { id: '--debug' },
    { id: 'i-0a1b2c3d4e5f60718 --debug' },
    { id: '../i-0a1b2c3d' },
    { resources: { ...resources, region: '--endpoint-url=http://evil' } },
    { resources: { ...resources, region: 'evil.example/' } },
    { resources: { ...resources, profile: '--debug' } },
    { resources: { ...resources, profile: 'a\nb' } },
    { resources: { ...resources, reach: 'sh' } },
    { resources: { ...resources, reach: '' } },
  ])('is refused for a record that fleet cannot have written: %j', (change) => {
    expect(() => openTunnel({ ...host, ...change })).toThrow(
      expect.objectContaining({ kind: 'inventory' }),
    )
  })

  test('has hints with commands for the region and the profile of the host', () => {
    const account = "--region eu-west-1 --profile 'team a'"
    expect(hintsOf('ssm')).toContainEqual({
      text: '',
      hint: expect.stringContaining(
        `aws ssm describe-instance-information --filters Key=InstanceIds,Values=i-0a1b2c3d4e5f60718 ${account}`,
      ) as string,
    })
    expect(hintsOf('eice')).toContainEqual(
      expect.objectContaining({
        hint: expect.stringMatching(
          `aws ec2 create-instance-connect-endpoint --subnet-id SUBNET ${account}$`,
        ) as string,
      }),
    )
  })

  test('is written to an ssh configuration only if it has no shell metacharacters', () => {
    expect(config('work')).toContain(
      '\n  ProxyCommand aws ssm start-session --target=i-0a1b2c3d4e5f60718 --document-name=AWS-StartSSHSession --parameters=portNumber=22 --region=eu-west-1 --profile=work\n',
    )
    expect(() => config('$(touch x)')).toThrow('a shell would interpret some of the characters')
  })
})
