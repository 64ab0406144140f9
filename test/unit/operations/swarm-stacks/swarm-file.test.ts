import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LocalEntry } from '../../../../src/operations/compose/read-local-files.ts'
import type { StackModel } from '../../../../src/operations/stacks/stack-model.ts'
import {
  type SwarmService,
  digestLabel,
  swarmStackOf,
} from '../../../../src/operations/swarm-stacks/swarm-file.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-swarm-file-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const model = (services: object, more: object = {}): StackModel =>
  ({ name: 'shop', services, ...more }) as StackModel

/** Writes local files, and resolves to their entries, keyed by path. */
async function filesOf(contents: Readonly<Record<string, string>>) {
  const entries = Object.entries(contents).map(async ([path, content]) => {
    const file = join(folder, path.replaceAll('/', '-'))
    await writeFile(file, content)
    return [path, { type: 'file', file } as LocalEntry] as const
  })
  return new Map(await Promise.all(entries))
}

const none = { files: new Map<string, LocalEntry>(), variables: {} }
const webOf = async (service: object, more?: object): Promise<SwarmService> => {
  const { file } = await swarmStackOf(model({ web: { image: 'shop:1', ...service } }, more), none)
  const { web } = file.services
  if (web === undefined) throw new Error('no service')
  return web
}
const digestOf = ({ deploy }: SwarmService) => deploy.labels[digestLabel]

describe('the file for docker stack deploy', () => {
  it('has only the keys that docker supports, with the types that it expects', async () => {
    const web = await webOf({
      ...{ command: null, entrypoint: ['run'], environment: { A: 'b' }, restart: 'always' },
      ...{ depends_on: { db: { condition: 'service_started' } }, container_name: 'web' },
      ports: [{ mode: 'ingress', target: 80, published: '8080', protocol: 'tcp', name: 'http' }],
      volumes: [
        { type: 'bind', source: '/var/run', target: '/run', bind: { create_host_path: true } },
        { type: 'volume', source: 'data', target: '/data', volume: {} },
        { type: 'tmpfs', target: '/tmp', tmpfs: { size: '1000' } },
      ],
      configs: [{ source: 'app', target: '/app', mode: '0440' }],
      extra_hosts: ['db=192.0.2.1'],
      deploy: { resources: { limits: { cpus: 0.5, memory: '1000' } }, placement: {} },
    })
    expect(web).toMatchObject({
      ...{ image: 'shop:1', entrypoint: ['run'], environment: { A: 'b' } },
      ports: [{ mode: 'ingress', target: 80, published: 8080, protocol: 'tcp' }],
      volumes: [
        { type: 'bind', source: '/var/run', target: '/run' },
        { type: 'volume', source: 'data', target: '/data', volume: {} },
        { type: 'tmpfs', target: '/tmp', tmpfs: { size: 1000 } },
      ],
      configs: [{ source: 'app', target: '/app', mode: 0o440 }],
      extra_hosts: ['db:192.0.2.1'],
      deploy: { replicas: 1, resources: { limits: { cpus: '0.5', memory: '1000' } } },
    })
    for (const key of ['command', 'restart', 'depends_on', 'container_name']) {
      expect(web).not.toHaveProperty(key)
    }
    expect(web['volumes']).not.toContainEqual(expect.objectContaining({ bind: expect.anything() }))
  })

  it('has the number of replicas that Compose would run', async () => {
    expect((await webOf({ scale: 3 })).deploy.replicas).toBe(3)
    expect((await webOf({ deploy: { mode: 'global' } })).deploy.replicas).toBeUndefined()
  })

  it.each([
    [{ privileged: true }, /service web sets privileged, which Swarm mode does not support/],
    [{ network_mode: 'host' }, /sets network_mode/],
    [{ ports: [{ target: 80, published: '8000-8010' }] }, /publishes the ports 8000-8010/],
    [{ volumes: [{ type: 'bind', source: '/fleet/files/site' }] }, /mounts files from the inv/],
  ])('refuses %j', async (service, problem) => {
    await expect(webOf(service)).rejects.toThrow(problem)
  })

  it('accepts an unsupported option that is disabled', async () => {
    await expect(webOf({ privileged: false })).resolves.toBeDefined()
  })
})

describe('configs and secrets of a swarm stack', () => {
  const definitions = {
    configs: { app: { file: '/fleet/files/app.conf' }, motd: { content: 'costs $$1' } },
    secrets: { token: { environment: 'TOKEN' }, old: { external: true, name: 'legacy' } },
  }
  const services = {
    web: { image: 'shop:1', configs: [{ source: 'app' }], secrets: [{ source: 'token' }] },
    db: { image: 'db:1' },
  }
  const read = async (config: string, token = 'secret') =>
    swarmStackOf(model(services, definitions), {
      files: await filesOf({ 'files/app.conf': config }),
      variables: { TOKEN: token },
    })

  it('are named after their content, which is not in the file', async () => {
    const { file, objects } = await read('first')
    expect(objects.map(({ kind, name, content }) => [kind, name, content.toString()])).toEqual([
      ['configs', expect.stringMatching(/^shop_app-[0-9a-f]{12}$/), 'first'],
      ['configs', expect.stringMatching(/^shop_motd-[0-9a-f]{12}$/), 'costs $1'],
      ['secrets', expect.stringMatching(/^shop_token-[0-9a-f]{12}$/), 'secret'],
    ])
    const [app] = objects
    expect(file['configs']).toMatchObject({ app: { external: true, name: app?.name } })
    expect(file['secrets']).toMatchObject({ old: { external: true, name: 'legacy' } })
    expect(JSON.stringify(file)).not.toMatch(/first|"secret"|TOKEN/)
  })

  it('change the digests of exactly the services that use them', async () => {
    const [first, second, third] = [
      ...[await read('first'), await read('second'), await read('first', 'other')],
    ].map(({ file }) => file.services)
    const digests = [first, second, third].map((all) => ({
      web: all?.['web'] && digestOf(all['web']),
      db: all?.['db'] && digestOf(all['db']),
    }))
    expect(new Set(digests.map(({ web }) => web)).size).toBe(3)
    expect(new Set(digests.map(({ db }) => db)).size).toBe(1)
  })

  it('require content within the size limits of Swarm', async () => {
    const missing = swarmStackOf(model(services, definitions), none)
    await expect(missing).rejects.toThrow(/the config app in stack shop has no content/)
    await expect(read('x'.repeat(1_024_000))).rejects.toThrow(/config app .* less than 1000 KiB/)
    await expect(read('x', 'x'.repeat(512_000))).rejects.toThrow(
      /secret token .* less than 500 KiB/,
    )
    expect((await read('x'.repeat(1_023_999), 'x'.repeat(511_999))).objects).toHaveLength(3)
  })

  it('have names within the length limit', async () => {
    const key = 'k'.repeat(80)
    const { objects } = await swarmStackOf(
      model(services, { configs: { [key]: { content: 'a' } } }),
      none,
    )
    expect(objects[0]?.name).toHaveLength(64)
  })
})
