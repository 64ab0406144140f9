import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LabHost } from '../../support/lab/lab.ts'
import {
  type StackLab,
  canDeployStacks,
  composeKinds,
  containersOn,
  onHost,
  startStackLab,
  waitForever,
} from '../../support/stacks/stack-lab.ts'

const service = (image: string): string =>
  `{ image: '${image}', command: [sh, -c, '${waitForever}'], stop_grace_period: 0s }`

const composeFile = `
services:
  kept: ${service('bb:1')}
  paused: ${service('bb:1')}
  stopped: ${service('bb:1')}
  removed: ${service('bb:1')}
  moved: ${service('app:1')}
  twice: ${service('bb:1')}
`

const labels = (values: Readonly<Record<string, string>>): string =>
  Object.entries({ project: 'shop', ...values })
    .map(([key, value]) => `--label com.docker.compose.${key}=${value}`)
    .join(' ')

describe.skipIf(!canDeployStacks).each(composeKinds)('a stack with $kind', ({ here, plugin }) => {
  let shop: StackLab
  let host: LabHost
  beforeAll(async () => {
    shop = await startStackLab({ hosts: 1, here, plugin })
    ;[host] = shop.hosts as [LabHost]
    await host.exec('docker tag bb:1 app:1')
    await shop.lay({ 'shop/compose.yaml': composeFile })
    await shop.ok('deploy --yes')
  })
  afterAll(() => shop?.[Symbol.asyncDispose]())

  test('whose containers were changed by hand is shown by the plan, and restored by apply', async () => {
    const before = await containersOn(host)
    const run = `docker run -d bb:1 sh -c '${waitForever}'`
    const runWith = (values: Readonly<Record<string, string>>): string =>
      run.replace('-d', `-d ${labels(values)}`)
    await host.exec(`
docker pause shop-paused-1
docker stop -t 0 shop-stopped-1
docker rm -f shop-removed-1
echo 'FROM bb:1' | docker build -q -t app:1 --label moved=1 -
${runWith({ service: 'extra', 'config-hash': '0', oneoff: 'False' })}
${runWith({ service: 'twice', 'config-hash': '0', oneoff: 'False', 'container-number': '2' })}
${runWith({ service: 'foreign' })}
`)
    const { code, stdout } = await shop.fleet('plan')
    expect({ code, stdout }).toMatchObject({ code: 2 })
    const lines = stdout.split('\n').map((line) => line.trim())
    expect(
      lines.slice(lines.indexOf('~ shop on h1') + 1, lines.indexOf('~ shop on h1') + 7),
    ).toEqual([
      'recreate moved (the image app:1 has changed)',
      'start paused (the container is paused)',
      'create removed (the service has no container)',
      expect.stringMatching(/^start stopped \(the container exited with code \d+\)$/),
      expect.stringMatching(/^recreate twice \(/),
      'remove extra (the stack does not define this service)',
    ])
    await shop.ok('apply --yes')
    expect(await shop.ok('plan')).toContain('nothing to do')
    const { foreign, ...after } = await containersOn(host)
    expect(foreign).toBeDefined()
    expect(Object.keys(after).toSorted()).toEqual(Object.keys(before).toSorted())
    expect(after['kept']).toBe(before['kept'])
    expect(after['paused']).toBe(before['paused'])
    expect(await onHost(host, `docker inspect -f '{{.State.Status}}' shop-paused-1`)).toBe(
      'running',
    )
    expect(await onHost(host, `docker inspect -f '{{.Config.Labels.moved}}' shop-moved-1`)).toBe(
      '1',
    )
  })
})
