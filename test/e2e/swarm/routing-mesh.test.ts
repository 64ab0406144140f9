import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KernelHosts, startKernelHosts } from '../../support/debian-kernel/kernel-hosts.ts'
import { makeBaseRoot } from '../../support/lab/base-image.ts'
import { runProgram } from '../../support/lab/process.ts'
import {
  canDeployStacks,
  giveCompose,
  writeFiles,
  localCompose,
} from '../../support/stacks/stack-lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Virtual IP addresses and the routing mesh require IPVS, which the lab's kernel may lack, so these hosts run Debian's
// kernel. Their processor is emulated, so each step takes seconds.

const compose = `
services:
  web:
    image: bb:1
    command: sh -c 'hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
    ports: ['8080:80']
    stop_grace_period: 1s
    deploy:
      endpoint_mode: vip
      placement: { constraints: [node.hostname==h2] }
  client:
    image: bb:1
    command: sleep 1000000
    stop_grace_period: 1s
    deploy: { placement: { constraints: [node.hostname==h1] } }
`

describe.skipIf(!canDeployStacks)('a swarm on a kernel with IPVS', () => {
  let machine: KernelHosts
  let ana: TestUser

  const ok = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await ana.fleet(words)
    expect({ words, code, stderr: code === 0 ? '' : stderr }).toEqual({
      words,
      code: 0,
      stderr: '',
    })
    return stdout + stderr
  }

  /** Resolves to the output of a command in the container on h1. */
  const inClient = async (command: string): Promise<string> =>
    (await ana.fleet(['exec', 'shop_client', ...command.split(' ')])).stdout

  const addressesOf = async (service: string) =>
    (await inClient(`nslookup ${service}`)).match(/^Address.*: 10\.\d+\.\d+\.\d+$/gm)

  beforeAll(async () => {
    machine = await startKernelHosts(2)
    ana = await makeTestUser({ identity: machine.identity.file, broker: true })
    await giveCompose(ana, localCompose.plugin)
    const machines = machine.hosts.map(({ name, address, hostKey }) => {
      const host = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
      return `  ${name}: ${JSON.stringify({ driver: 'ssh', options: { address }, host })}\n`
    })
    const swarm = 'swarms:\n  prod:\n    managers: h1\n    workers: h2\n'
    await writeFiles(ana.folder, {
      'shop/compose.yaml': compose,
      'machines.yaml': `version: 1\nid: 0123abcd\n${swarm}machines:\n${machines.join('')}`,
    })
  })

  test('provides a virtual IP address on the overlay network, and a port on each node', async () => {
    const { hosts } = machine
    const isUp = async () => (await ana.fleet(['ps', '--on', 'all', '--timeout', '60'])).code
    await expect.poll(isUp, { timeout: 600_000 }).toBe(0)
    const root = join(ana.folder, 'root')
    await makeBaseRoot(root)
    await runProgram(['tar', '-C', root, '-cf', `${root}.tar`, '.'])
    for (const { name } of hosts) await ok('-m', name, 'image', 'import', `${root}.tar`, 'bb:1')
    await ok('apply', '--yes', '--timeout', '300')
    // On a busy computer, nodes are too slow for the default of 5 seconds, and lose their tasks.
    await ok('-m', 'prod', 'docker', 'swarm', 'update', '--dispatcher-heartbeat', '5m')
    const stacks = 'stacks:\n  shop: { compose: shop/compose.yaml, swarm: prod, wait: 1200 }\n'
    await appendFile(join(ana.folder, 'machines.yaml'), stacks)
    await ok('deploy', '--yes', '--timeout', '300')

    const [name] = (await ok('exec', 'shop_web', 'hostname')).split('\n')
    const [virtual, task] = [await addressesOf('web'), await addressesOf('tasks.web')]
    expect([virtual, task]).toMatchObject([{ length: 1 }, { length: 1 }])
    expect(virtual).not.toEqual(task)
    await expect.poll(() => inClient('wget -q -O - http://web')).toBe(`${name}\n`)

    // No task of the service runs on h1.
    for (const { address } of hosts) {
      const get = async () => (await fetch(`http://${address}:8080`)).text()
      await expect.poll(get).toBe(`${name}\n`)
    }
    expect(await ok('swarm', 'check')).not.toContain('warning')
    expect((await ana.fleet(['plan', '--timeout', '300'])).code).toBe(0)
  })
  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await machine?.[Symbol.asyncDispose]()
  })
})
