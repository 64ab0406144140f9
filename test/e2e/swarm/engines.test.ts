import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'
import {
  canDeployStacks,
  giveCompose,
  writeFiles,
  localCompose,
} from '../../support/stacks/stack-lab.ts'

// Other swarm tests use the engine of this computer's Debian release. These use the newest engine, and a mix of both.

/**
 * Returns a Compose file without virtual IP addresses and the routing mesh: both require IPVS, which the kernel may
 * lack.
 */
const composeFile = (mode: string) => `
services:
  web:
    image: bb:1
    command: sh -c 'hostname >/tmp/index.html; [ $$MODE = good ] || { echo cannot start; exit 3; }; exec httpd -f -p 80 -h /tmp'
    environment: { MODE: ${mode} }
    ports: [{ target: 80, published: 8080, mode: host }]
    hostname: web-on-h3
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      placement: { constraints: [node.labels.rack==r3] }
      update_config: { failure_action: rollback, monitor: 1s }
  client:
    image: bb:1
    command: sleep 1000000
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      placement: { constraints: [node.labels.rack==r1] }
`

describe.skipIf(!canDeployStacks).for([
  { members: 'engines of release 28', newerEngines: ['h1', 'h2', 'h3'] },
  { members: 'engines of releases 20.10 and 28', newerEngines: ['h2', 'h3'] },
])('a swarm of $members', ({ newerEngines }) => {
  let swarm: SwarmLab

  beforeAll(async () => {
    const labels = {
      h1: { role: 'manager', rack: 'r1' },
      h2: { role: 'web', rack: 'r2' },
      h3: { role: 'web', rack: 'r3' },
    }
    swarm = await SwarmLab.start(labels, { newerEngines })
    await giveCompose(swarm.ana, localCompose.plugin)
  })
  afterAll(() => swarm?.[Symbol.asyncDispose]())

  /** Sends a request to the service from a container on h1. */
  const get = async () => {
    const words = 'exec shop_client wget -q -O - http://web'
    return (await swarm.ana.fleet(words.split(' '))).stdout
  }

  test('is initialized, and gets another manager', async () => {
    await swarm.ok('apply --yes --timeout 60')
    const versions = Object.entries(await swarm.nodes()).map(
      ([name, { Description }]) => [name, Description.Engine.EngineVersion.split('.')[0]] as const,
    )
    expect(Object.fromEntries(versions)).toEqual(
      Object.fromEntries(
        ['h1', 'h2', 'h3'].map((name) => [name, newerEngines.includes(name) ? '28' : '20']),
      ),
    )
    swarm.labels['h2'] = { role: 'manager', rack: 'r2' }
    await swarm.save()
    await swarm.ok('apply --yes --timeout 60')
    const { h2 } = await swarm.nodes()
    expect(h2?.ManagerStatus?.Reachability).toBe('reachable')
    expect(await swarm.plan()).toEqual(nothingToDo)
    expect(await swarm.ok('swarm check')).toMatch(/10 of 10 connections between 3 members work/)
  })

  test('transports the traffic of a stack between hosts, and publishes a port of a host', async () => {
    const { ana } = swarm
    await writeFiles(ana.folder, { 'shop/compose.yaml': composeFile('good') })
    const stacks = 'stacks:\n  shop: { compose: shop/compose.yaml, swarm: prod, wait: 150 }\n'
    await appendFile(join(ana.folder, 'machines.yaml'), stacks)
    await swarm.ok('deploy --yes --timeout 60')
    await expect.poll(get, { timeout: 60_000 }).toBe('web-on-h3\n')
    const published = await fetch(`http://${swarm.host('h3').address}:8080/`)
    expect(await published.text()).toBe('web-on-h3\n')
    expect(await swarm.plan()).toEqual(nothingToDo)
  })

  test('returns to the previous release of a service if the new one fails', async () => {
    await writeFiles(swarm.ana.folder, { 'shop/compose.yaml': composeFile('bad') })
    const { code, stderr } = await swarm.ana.fleet(['deploy', '--yes', '--timeout', '60'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /service shop_web: the update was rolled back[^]*non-zero exit \(3\)[^]*cannot start/,
      ),
    })
    await expect.poll(get, { timeout: 60_000 }).toBe('web-on-h3\n')
  })
})
