import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const config = `[profile base]
region = eu-west-1

[profile guarded]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/fleet
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ana
`

const credentials = `[base]
aws_access_key_id = AKIAMADEUP
aws_secret_access_key = made-up
`

const machine = (name: string, number: number): string => `  ${name}:
    driver: aws
    options: { profile: guarded }
    host:
      phase: ready
      id: i-0123456789abcdef${number}
      token: 00000000-0000-4000-8000-00000000000${number}
      address: 127.0.0.9
      user: fleet
      hostKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB]
      resources: { region: eu-west-1, access: public, profile: guarded }
      created: 2026-01-01T00:00:00.000Z
`

describe.skipIf(!labIsHere)('an AWS profile that requires an MFA code', () => {
  let aws: Aws
  let ana: TestUser
  let env: Record<string, string>

  beforeAll(async () => {
    aws = await startAws()
  })
  beforeEach(async () => {
    await aws.reset()
    aws.change({ mfaCode: '123456' })
    ana = await makeTestUser()
    await mkdir(join(ana.home, '.aws'))
    await writeFile(join(ana.home, '.aws/config'), config)
    await writeFile(join(ana.home, '.aws/credentials'), credentials)
    const machines = `version: 1\nid: 0123abcd\nmachines:\n${machine('web-1', 1)}${machine('web-2', 2)}`
    await writeFile(join(ana.folder, 'machines.yaml'), machines)
    env = {
      AWS_ENDPOINT_URL: aws.environment['AWS_ENDPOINT_URL'] ?? '',
      AWS_EC2_METADATA_DISABLED: 'true',
    }
  })
  afterEach(() => ana[Symbol.asyncDispose]())
  afterAll(() => aws[Symbol.asyncDispose]())

  const assumed = () => aws.calls.filter(({ action }) => action === 'AssumeRole')
  const looked = () =>
    aws.calls.filter(({ action, outcome }) => action === 'DescribeInstances' && outcome === 'ok')

  test('prompts for the code in the terminal, once', async () => {
    const typing = [{ at: 'MFA code for', type: '123456\r' }]
    const { screen } = await ana.fleetOnTerminal(['stop', 'web-1', 'web-2'], typing, { env })
    expect(screen).toContain('MFA code for arn:aws:iam::123456789012:mfa/ana')
    expect(screen).toContain('instance i-0123456789abcdef1 no longer exists')
    expect(assumed().map(({ parameters }) => parameters['TokenCode'])).toEqual(['123456'])
    expect(looked().length).toBeGreaterThan(0)
  })

  test('reports a wrong code', async () => {
    const typing = [{ at: 'MFA code for', type: '000000\r' }]
    const refused = await ana.fleetOnTerminal(['stop', 'web-1'], typing, { env })
    expect(refused).toMatchObject({ code: 6 })
    expect(refused.screen).toContain('web-1: AWS rejected the MFA code')
  })

  test('reports what to do without a terminal', async () => {
    const refused = await ana.fleet(['stop', 'web-1'], { env })
    expect(refused.code).toBe(6)
    expect(refused.stderr).toMatch(/AWS profile .* requires an MFA code/)
    expect(refused.stderr).toContain('aws configure export-credentials --profile guarded')
    expect(aws.calls).toEqual([])
  })
})
