import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import {
  canDeployStacks,
  giveCompose,
  writeFiles,
  localCompose,
  waitForever,
} from '../../support/stacks/stack-lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const inventory = `version: 1
id: 0123abcd
profiles:
  web: { driver: aws, options: { sshCidr: 10.77.0.0/16 }, labels: { role: web }, count: 1 }
stacks:
  shop: { compose: shop/compose.yaml, on: role=web, batch: 2, wait: 300 }
machines: {}
`

const composeFile = `
services:
  web:
    build: ./app
    command: sh -c '${waitForever}'
    stop_grace_period: 0s
    environment: { FLEET: '\${FLEET_MACHINE} at \${FLEET_ADDRESS}' }
    volumes: ['./site:/site:ro']
    healthcheck: { test: ['CMD', 'test', '-e', '/site/index'], interval: 300ms, retries: 20 }
`

describe.skipIf(!canDeployStacks)('a stack on machines of a profile', () => {
  let aws: Aws
  let ana: TestUser
  beforeAll(async () => {
    aws = await startAws({ hosts: 'lab', lab: { engine: true, spare: 4 } })
    aws.change({ lags: { hidden: 0 } })
    ana = await makeTestUser({ broker: true })
    await giveCompose(ana, localCompose.plugin)
    await writeFiles(ana.folder, {
      'machines.yaml': inventory,
      'shop/compose.yaml': composeFile,
      'shop/app/Dockerfile': 'FROM bb:1\nCOPY version /version\n',
      'shop/app/version': 'one',
      'shop/site/index': 'hello',
    })
  })
  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await aws?.[Symbol.asyncDispose]()
  })
  const fleet = (...args: string[]) => {
    const limit = args[0] === 'plan' || args[0] === 'apply' ? ['--timeout', '600'] : []
    const env = { ...aws.environment, DOCKER_BUILDKIT: '0' }
    return ana.fleet([...args, ...limit], { env })
  }
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await fleet(...args)
    expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
    return stdout
  }

  test('is deployed to each new machine by the apply that creates the machine', async () => {
    expect((await fleet('plan')).stdout).toMatch(
      /\+ web-1: create[^]*\+ shop on web-1, after the machine is created\n +create web/,
    )
    await ok('apply', '--yes')
    const [first] = JSON.parse(await ok('stack', 'ps', '--json')) as { id: string }[]
    await ok('set', '--profile', 'web', 'count=4')
    const { stdout } = await fleet('plan')
    expect(stdout).toMatch(/\+ web-4: create/)
    expect(stdout).toMatch(/\+ shop on web-2..web-4, after the machines are created\n +create web/)
    await ok('apply', '--yes')
    expect(await ok('plan')).toContain('nothing to do')
    const rows = JSON.parse(await ok('stack', 'ps', '--json')) as Record<string, string>[]
    expect(rows).toMatchObject(
      ['web-1', 'web-2', 'web-3', 'web-4'].map((machine) => ({
        machine,
        service: 'web',
        state: 'running',
      })),
    )
    expect(rows[0]?.['id']).toBe(first?.id)
    const { stdout: printed } = await fleet(
      ...[
        '-m',
        'web-4',
        'exec',
        'shop-web-1',
        'sh',
        '-c',
        'cat /version /site/index; echo; echo $FLEET',
      ],
    )
    expect(printed).toMatch(/^onehello\nweb-4 at 10\.77\.\d+\.\d+\n$/)
  })
})
