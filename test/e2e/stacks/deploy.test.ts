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

const composeFile = `
services:
  db:
    image: bb:1
    command: sh -c 'sleep 1; cp /run/secrets/password /state/; ${waitForever}'
    secrets: [password]
    stop_grace_period: 0s
    volumes: ['state:/state']
    healthcheck: { test: ['CMD', 'test', '-s', '/state/password'], interval: 300ms, retries: 20 }
  web:
    image: bb:1
    command: sh -c 'cat /etc/app.conf; echo on $$FLEET, $$COLOR, after $$(ls /state); ${waitForever}'
    stop_grace_period: 0s
    env_file: [web.env]
    environment: { FLEET: '\${FLEET_MACHINE}' }
    configs: [{ source: app, target: /etc/app.conf }]
    volumes: ['./site:/site:ro', 'state:/state']
    depends_on: { db: { condition: service_healthy } }
  worker:
    build: ./worker
    command: sh -c 'cat /version; ${waitForever}'
    stop_grace_period: 0s
  cache:
    image: bb:1
    command: sh -c '${waitForever}'
    stop_grace_period: 0s
    depends_on: [worker]
configs: { app: { file: ./app.conf } }
secrets: { password: { file: ./password } }
volumes: { state: {} }
`

describe.skipIf(!canDeployStacks).each(composeKinds)('a stack with $kind', ({ here, plugin }) => {
  let shop: StackLab
  let h1: LabHost
  beforeAll(async () => {
    shop = await startStackLab({ hosts: 3, here, plugin })
    ;[h1] = shop.hosts as [LabHost]
    await shop.lay({
      'shop/compose.yaml': composeFile,
      'shop/web.env': 'COLOR=blue\n',
      'shop/app.conf': 'first\n',
      'shop/password': 'swordfish',
      'shop/site/index.html': 'hello',
      'shop/worker/Dockerfile': 'FROM bb:1\nCOPY version /version\n',
      'shop/worker/version': 'built once\n',
    })
  })
  afterAll(() => shop?.[Symbol.asyncDispose]())

  test('with four services is deployed on three hosts, and the second plan is empty', async () => {
    const plan = await shop.fleet('plan')
    expect(plan.code).toBe(2)
    expect(plan.stdout).toMatch(
      /\+ shop on h1..h3\n( +create (db|web|worker|cache) \(the service has no container\)\n){4}/,
    )
    await shop.ok('apply --yes')
    expect(await shop.ok('plan')).toContain('nothing to do')
    const images = new Set<string>()
    for (const host of shop.hosts) {
      const { db, web, worker, ...others } = await containersOn(host)
      expect(Object.keys(others)).toEqual(['cache'])
      expect(
        await onHost(host, `docker logs ${web}; docker exec ${web} cat /site/index.html`),
      ).toBe(`first\non ${host.name}, blue, after password\nhello`)
      expect(await onHost(host, `docker exec ${db} cat /run/secrets/password`)).toBe('swordfish')
      expect(await onHost(host, `docker logs ${worker}`)).toBe('built once')
      images.add(await onHost(host, `docker inspect --format '{{.Image}}' ${worker}`))
      expect(await onHost(host, `docker inspect ${web} ${db}`)).not.toContain('swordfish')
    }
    expect(images.size).toBe(1)
  })

  test('recreates only the services whose file has changed', async () => {
    const before = await containersOn(h1)
    await shop.lay({ 'shop/app.conf': 'second\n' })
    const planned = await shop.fleet('deploy --on h1 --on h2')
    expect(planned).toMatchObject({ code: 2, stderr: expect.stringMatching(/--yes/) })
    expect(planned.stderr).toContain(
      'recreate web (a file or definition that the service uses has changed)',
    )
    expect(await containersOn(h1)).toEqual(before)
    await shop.ok('deploy --yes --on h1 --on h2')
    const { web: newWeb, ...after } = await containersOn(h1)
    const { web: oldWeb, ...others } = before
    expect(after).toEqual(others)
    expect(newWeb).not.toBe(oldWeb)
    expect(await onHost(h1, `docker logs ${newWeb}`)).toContain('second')
  })

  test('that is not in the inventory causes the same error in all commands', async () => {
    const lines = ['deploy shpo', 'stack ps shpo', 'stack logs shpo', 'stack rollback shpo']
    for (const line of lines) {
      expect(await shop.fleet(line)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('there is no stack called "shpo" (did you mean "shop"?)'),
      })
    }
  })
})
