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

/** Returns a Compose file with a service that is healthy if `check` succeeds. */
const composeFile = (text: string, check: string, retries = 3): string => `
services:
  web:
    image: bb:1
    command: sh -c 'echo ${text} on $$FLEET >&2; ${waitForever}'
    stop_grace_period: 0s
    environment: { FLEET: '\${FLEET_MACHINE}' }
    healthcheck: { test: ['CMD-SHELL', '${check}'], interval: 200ms, retries: ${retries} }
    volumes: ['./conf:/conf:ro', '/srv/gate:/gate']
`

/** Resolves to the output, the health and the mounted file of the container on a host. */
const stateOf = (host: LabHost): Promise<string> =>
  onHost(
    host,
    `docker logs shop-web-1 2>&1; docker inspect --format '{{.State.Health.Status}}' shop-web-1; docker exec shop-web-1 cat /conf`,
  )

describe.skipIf(!canDeployStacks).each(composeKinds)('a stack with $kind', ({ here, plugin }) => {
  let shop: StackLab
  beforeAll(async () => {
    shop = await startStackLab({ hosts: here ? 5 : 3, here, plugin })
    await shop.lay({ 'shop/compose.yaml': composeFile('first', 'true'), 'shop/conf': 'old' })
  })
  afterAll(() => shop?.[Symbol.asyncDispose]())

  test('with a failing health check is rolled back on the second machine, and others are not changed', async () => {
    await shop.ok('deploy --yes')
    const before = await Promise.all(shop.hosts.map(containersOn))
    await shop.lay({
      'shop/compose.yaml': composeFile('no luck', '[ $$FLEET != h2 ]'),
      'shop/conf': 'new',
    })
    const { code, stderr } = await shop.fleet('deploy --yes')
    expect({ code, stderr }).toMatchObject({ code: 1 })
    expect(stderr).toMatch(/h2: stack shop was not deployed: .*shop-web-1.*unhealthy/)
    expect(stderr).toMatch(/last log lines of shop-web-1:\n +no luck on h2\n/)
    expect(stderr).toMatch(/Release 1 was restored\./)
    expect(stderr).toMatch(
      /stack shop was not deployed to h3(..h5)?: the deployment to another machine failed/,
    )
    const states = await Promise.all(shop.hosts.map(stateOf))
    const left = shop.hosts.slice(2).map(({ name }) => name)
    expect(states).toEqual([
      'no luck on h1\nhealthy\nnew',
      'first on h2\nhealthy\nold',
      ...left.map((name) => `first on ${name}\nhealthy\nold`),
    ])
    const after = await Promise.all(shop.hosts.map(containersOn))
    expect(after.slice(2)).toEqual(before.slice(2))
    expect(after[0]).not.toEqual(before[0])
    const listed = JSON.parse((await shop.fleet('stack ls --json')).stdout) as unknown
    expect(listed).toMatchObject([
      { machine: 'h1', state: 'deployed', release: 2 },
      { machine: 'h2', state: 'failed', release: 1, reason: expect.stringContaining('unhealthy') },
      ...left.map((machine) => ({ machine, state: 'deployed', release: 1 })),
    ])
  })

  test('is locked by one of two operators, and the other sees who that is, or waits', async () => {
    const [h1] = shop.hosts as [LabHost]
    // The service is healthy once the file exists.
    await shop.lay({ 'shop/compose.yaml': composeFile('gated', 'test -e /gate/open', 9999) })
    const others: ReturnType<StackLab['fleet']>[] = []
    const first = await shop.fleet('deploy --yes --on h1', {
      said(stderr) {
        if (!stderr.includes('start containers') || others.length > 0) return
        const second = shop.fleet('deploy --yes --on h1')
        const third = shop.fleet('deploy --yes --on h1 --wait-lock 300', {
          said(text) {
            if (!text.includes('stack shop is locked')) return
            void second.then(() => h1.exec('touch /srv/gate/open'))
          },
        })
        others.push(second, third)
      },
    })
    expect(first).toMatchObject({ code: 0 })
    const [second, third] = await Promise.all(others)
    expect(second?.stderr).toMatch(
      /h1: stack shop is locked: \S+@\S+ has been changing it since 20\S+ \(deploy shop\)\n +wait until the stack is unlocked, or pass --wait-lock SECONDS/,
    )
    expect(second?.code).toBe(1)
    expect(third).toMatchObject({ code: 0 })
    expect(await stateOf(h1)).toContain('healthy')
  })

  test('can be deployed after the operator that held the lock was killed', async () => {
    const [h1] = shop.hosts as [LabHost]
    await shop.lay({
      'shop/compose.yaml': composeFile('never healthy', 'test -e /gate/never', 9999),
    })
    const killed = await shop.fleet('deploy --yes --on h1', {
      said(stderr, pid) {
        if (stderr.includes('start containers')) process.kill(pid, 'SIGKILL')
      },
    })
    expect(killed.code).not.toBe(0)
    await shop.lay({ 'shop/compose.yaml': composeFile('next', 'true') })
    await shop.ok('deploy --yes --on h1 --wait-lock 300')
    expect(await shop.ok('plan --on h1')).toContain('nothing to do')
    expect(await stateOf(h1)).toBe('next on h1\nhealthy\nnew')
  })

  /** Replaces the fields of the stack in the inventory, except its file and machines. */
  const setFields = async (fields: object): Promise<void> => {
    const text = JSON.stringify(fields).slice(1, -1)
    const inventory = await shop.ana.inventory()
    await shop.lay({ 'machines.yaml': inventory.replace(/"wait":.*?(?=\})/, text) })
  }

  test('is deployed to a percentage of its machines at a time', async () => {
    await setFields({ wait: 300, batch: here ? '50%' : '70%' }) // 2 of 5, or 2 of 3
    await shop.lay({ 'shop/compose.yaml': composeFile('half', 'test -e /gate/half', 9999) })
    const [h1] = shop.hosts as [LabHost]
    const begun: string[][] = []
    const all = shop.hosts.map(({ name }) => name)
    const { code, stderr } = await shop.fleet('deploy --yes', {
      said(text) {
        const has = (name: string, step: string): boolean => text.includes(`${name}: ${step}`)
        const locked = all.filter((name) => has(name, 'lock the stack'))
        if (begun.length === 0 && has('h1', 'start containers') && has('h2', 'start containers')) {
          begun.push(locked)
          void h1.exec('touch /srv/gate/half')
        }
        // h3 starts in place of h1, while h2 is still waiting
        if (begun.length === 1 && locked.length > 2) {
          begun.push(locked)
          for (const host of shop.hosts) void host.exec('touch /srv/gate/half')
        }
      },
    })
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    expect(begun).toEqual([all.slice(0, 2), all.slice(0, 3)])
  })

  test('fails when its time limit is exceeded', async () => {
    await setFields({ wait: 2 })
    await shop.lay({ 'shop/compose.yaml': composeFile('late', 'test -e /gate/never', 9999) })
    const { code, stderr } = await shop.fleet('deploy --yes --on h1')
    expect({ code, stderr }).toMatchObject({ code: 1 })
    expect(stderr).toContain('wait up to 2 s for the services to become healthy')
    expect(stderr).toMatch(
      /stack shop was not deployed: .*[^]*last log lines of shop-web-1:\n +late on h1/,
    )
  })
})
