import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, startLab } from '../../support/lab/lab.ts'
import { otherSocket, serveAs } from '../../support/docker/other-architecture.ts'
import { startRegistry } from '../../support/lab/registry.ts'
import {
  canDeployStacks,
  giveCompose,
  giveHostCompose,
  hostCompose,
  writeFiles,
  localCompose,
  onHost,
  waitForever,
} from '../../support/stacks/stack-lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Unlike in other tests, the hosts have the newer compose, and the operator's computer the older one.
const { plugin: newer } = localCompose
const { plugin: older } = hostCompose

/** An older compose on the operator's computer, or a newer one only on the hosts. */
const kinds = [
  { kind: 'compose on this computer', here: true },
  { kind: 'compose on the hosts', here: false },
] as const

const wait = `sh -c '${waitForever}'`

/** Returns a Compose file with a locally built image, a volume, a mounted directory and a mounted file. */
const composeFile = (command: string): string => `
services:
  web:
    build: ./app
    command: ${command}
    stop_grace_period: 0s
    volumes: ['data:/data', './site:/site', './conf:/conf:ro']
    healthcheck: { test: ['CMD', 'test', '-e', '/site'], interval: 200ms, retries: 3 }
  worker:
    image: bb:1
    command: ${wait}
    stop_grace_period: 0s
    depends_on: { web: { condition: service_healthy } }
volumes: { data: {} }
`

const inWeb = (host: LabHost, command: string): Promise<string> =>
  onHost(host, `docker exec shop-web-1 sh -c '${command}'`)
const imageOf = (host: LabHost): Promise<string> =>
  onHost(host, `docker inspect --format '{{.Image}}' shop-web-1`)

const version = (host: LabHost) => onHost(host, 'docker exec goods-app-1 cat /version')

describe.skipIf(!canDeployStacks).each(kinds)('releases of a stack with $kind', ({ here }) => {
  let lab: Lab
  let ana: TestUser
  let h1: LabHost
  let h2: LabHost
  let env: Record<string, string>

  const lay = (files: Readonly<Record<string, string>>) => writeFiles(ana.folder, files)
  const fleet = (line: string) => ana.fleet(line.split(' '), { env })
  const ok = async (line: string): Promise<string> => {
    const { code, stdout, stderr } = await fleet(line)
    expect({ line, code, output: code === 0 ? '' : stderr }).toEqual({
      line,
      code: 0,
      output: '',
    })
    return stdout + stderr
  }
  const json = async (line: string): Promise<unknown> => {
    const { code, stdout, stderr } = await fleet(`${line} --json`)
    expect({ line, code, output: code === 0 ? '' : stderr }).toEqual({
      ...{ line, code: 0, output: '' },
    })
    return JSON.parse(stdout)
  }
  const inventory = (stacks: object, socketOf: (host: LabHost) => object = () => ({})): string =>
    JSON.stringify({
      ...{ version: 1, id: '0123abcd', stacks },
      machines: Object.fromEntries(
        lab.hosts.map((host) => [
          host.name,
          {
            ...{ driver: 'ssh', options: { address: host.address } },
            host: {
              ...{ phase: 'ready', address: host.address, port: 22, user: 'root' },
              ...{ hostKeys: [host.hostKey], engine: '20.10.24', ...socketOf(host) },
            },
          },
        ]),
      ),
    })
  const withoutDocker = () => ({ PATH: ana.nodeOnly })
  const shop = { shop: { compose: 'shop/compose.yaml', on: 'all', batch: 2, wait: 60 } }

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    ;[h1, h2] = lab.hosts as [LabHost, LabHost]
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    env = { DOCKER_BUILDKIT: '0', ...(!here && withoutDocker()) }
    for (const host of lab.hosts) await giveHostCompose(host, newer)
    await giveCompose(ana, older)
    await lay({
      'machines.yaml': inventory(shop),
      'shop/compose.yaml': composeFile(wait),
      'shop/app/Dockerfile': 'FROM bb:1\nCOPY version /version\n',
      'shop/app/version': 'one',
      'shop/site/index': 'first',
      'shop/conf': 'first',
    })
  })
  afterAll(async () => {
    if (ana !== undefined) await ana.fleet(['broker', 'stop'], { env })
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test('use images that are built on one machine and copied to the others', async () => {
    expect(await ok('deploy --yes')).toMatch(/h2: copy images/)
    expect(await inWeb(h1, 'cat /version /conf')).toBe('onefirst')
    expect(await inWeb(h2, 'cat /version')).toBe('one')
    expect(await imageOf(h2)).toBe(await imageOf(h1))
    expect(await ok('deploy')).not.toContain('will make these changes')
    expect(await json('stack ls')).toMatchObject([
      { stack: 'shop', machine: 'h1', state: 'deployed', release: 1, running: 2, containers: 2 },
      { stack: 'shop', machine: 'h2', state: 'deployed', selected: true },
    ])
  })

  test('can be restored from the hosts alone, with their files and images', async () => {
    const before = await imageOf(h1)
    await inWeb(h1, 'echo of the container > /site/own; echo kept > /data/db')
    await lay({ 'shop/app/version': 'two', 'shop/conf': 'second' })
    await ok('deploy --yes')
    expect(await inWeb(h2, 'cat /version /conf')).toBe('twosecond')
    expect(await imageOf(h1)).not.toBe(before)
    // works without the build context, and after an ordinary prune
    await rm(join(ana.folder, 'shop'), { recursive: true })
    for (const host of lab.hosts) await onHost(host, 'docker image prune --force')
    const said = await ok('stack rollback shop --yes')
    expect(said).toMatch(/h1: release 1 is running again, replacing release 2/)
    for (const host of lab.hosts) {
      expect(await inWeb(host, 'cat /version /conf')).toBe('onefirst')
      expect(await imageOf(host)).toBe(before)
    }
    expect(await inWeb(h1, 'cat /site/own /data/db')).toBe('of the container\nkept')
    expect(await json('stack ls --on h1')).toMatchObject([{ release: 1 }])
    await ok('stack rollback shop --to 2 --yes --on h2')
    expect(await inWeb(h2, 'cat /version')).toBe('two')
    expect((await fleet('stack rollback shop --yes --on h1')).stderr).toMatch(
      /no earlier release on/,
    )
  })

  test('are shown with their containers and logs, and with their problems', async () => {
    expect(
      (await ok('stack ps shop --on h1')).split('\n').map((row) => row.split('\t')[2]),
    ).toEqual(['web', 'worker', undefined])
    await onHost(h1, 'docker stop -t 0 shop-worker-1')
    const [{ state, running } = { state: '', running: 0 }] = (await json('stack ls --on h1')) as {
      state: string
      running: number
    }[]
    expect({ state, running }).toEqual({ state: 'degraded', running: 1 })
    await onHost(h1, 'docker start shop-worker-1')
  })

  test('from a registry can be restored without it, even after images were pruned', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'registry-'))
    const registry = await startRegistry(folder, lab.network.address)
    const image = (tag: number) => `${registry.name}/app:${tag}`
    /** Pushes an image with a file and a volume. On the host, the name continues to refer to the previous image. */
    const push = async (tag: number, version: string): Promise<void> => {
      const name = image(tag)
      const { code, stderr } = await h1.exec(
        [
          `was=$(docker image ls -q ${name})`,
          `printf 'FROM bb:1\\nRUN echo ${version} >/version\\nVOLUME /cache\\n' | DOCKER_BUILDKIT=0 docker build -q -t ${name} -`,
          `docker push -q ${name}`,
          `if [ -n "$was" ]; then docker tag "$was" ${name}; else docker rmi ${name}; fi`,
        ].join(' && '),
      )
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    }
    const deploy = async (tag: number, words = ''): Promise<void> => {
      await lay({
        'goods/compose.yaml': `services: { app: { image: '${image(tag)}', command: ${wait}, stop_grace_period: 0s } }\n`,
      })
      await ok(`deploy goods --yes${words}`)
    }
    const goods = { compose: 'goods/compose.yaml', on: 'all', batch: '100%', wait: 60 }
    await lay({ 'machines.yaml': inventory({ ...shop, goods }) })
    await push(1, 'one')
    await push(2, 'two')
    await deploy(1)
    expect(await version(h2)).toBe('one')
    await push(1, 'moved')
    expect(await ok('deploy goods')).toContain('nothing to do') // registries are not queried
    await deploy(1, ' --pull')
    expect([await version(h1), await version(h2)]).toEqual(['moved', 'moved'])
    await deploy(2)
    // containers that keep images have no volumes, although the images define them
    const keepers = `docker ps -aq --filter label=fleet.keeps-image-of=goods`
    const shown = `docker inspect --format '{{.State.Status}}{{range .Mounts}} {{.Type}}{{end}}'`
    expect(await onHost(h2, `${shown} $(${keepers}) | sort -u`)).toBe('created tmpfs')
    await registry[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
    // prune ignores the containers that keep images, even with a filter given by the user
    await ok('system prune --yes --on all --filter label!=keep')
    await ok('system prune --yes --on all')
    for (const host of lab.hosts) await onHost(host, 'docker image prune --all --force')
    expect((await h1.exec(`docker pull ${image(1)}`)).code).not.toBe(0)
    await ok('stack rollback goods --yes')
    expect([await version(h1), await version(h2)]).toEqual(['moved', 'moved'])
    await ok('stack rollback goods --to 1 --yes --on h2')
    expect([await version(h1), await version(h2)]).toEqual(['moved', 'one'])
    await ok('stack rm goods --yes --volumes --destroy goods')
    for (const host of lab.hosts) {
      expect(await onHost(host, keepers)).toBe('')
      expect(await onHost(host, 'docker volume ls -q --filter dangling=true')).toBe('')
      expect(await onHost(host, `docker image ls -q 'fleet-release/goods/*'`)).toBe('')
    }
    await lay({ 'machines.yaml': inventory(shop) })
  })

  test('of another compose version are reported as such, and env and profiles are used', async () => {
    const duo = {
      ...{ compose: 'duo/compose.yaml', on: 'all', batch: '50%', wait: 60 },
      ...{ env: 'duo/prod.env', profiles: ['web'] },
    }
    const service = { image: 'bb:1', command: ['sleep', '900'], stop_grace_period: '0s' }
    await lay({
      'machines.yaml': inventory({ ...shop, duo }),
      'duo/prod.env': 'COLOR=blue\n',
      'duo/compose.yaml': JSON.stringify({
        services: {
          db: { ...service, environment: { COLOR: '${COLOR}' } },
          // compose 2.26 and 2.40 hash a service that depends on another one differently
          web: { ...service, profiles: ['web'], depends_on: ['db'] },
          tool: { ...service, profiles: ['tool'] },
        },
      }),
    })
    await ok('deploy duo --yes')
    const list = `docker ps --filter label=com.docker.compose.project=duo --format '{{.Names}}' | sort`
    expect(await onHost(h2, list)).toBe('duo-db-1\nduo-web-1')
    expect(await onHost(h2, `docker exec duo-db-1 sh -c 'echo $COLOR'`)).toBe('blue')
    expect(await ok('deploy duo')).toContain('nothing to do')
    const mine = env
    env = { DOCKER_BUILDKIT: '0', ...(here && withoutDocker()) }
    const [created, plans] = here ? ['2\\.26', '2\\.4\\d'] : ['2\\.4\\d', '2\\.26']
    expect((await fleet('plan --on h1')).stdout).toMatch(/recreate web/)
    expect((await fleet('deploy duo --on h1')).stderr).toMatch(
      new RegExp(
        `recreate web \\(either the configuration has changed, or Compose v?${plans}\\S* hashes it differently from Compose ${created}\\S*, which created the containers`,
      ),
    )
    await ok('deploy duo --yes --on h1')
    expect(await ok('deploy duo --on h1')).toContain('nothing to do')
    env = mine
    await ok('stack rm duo --yes')
    await lay({ 'machines.yaml': inventory(shop) })
  })

  test('of a stack without an entry are listed and removed, but written data only after confirmation', async () => {
    await lay({ 'machines.yaml': inventory({}) })
    expect(await json('stack ls --on h1')).toMatchObject([
      { stack: 'shop', selected: false, state: 'deployed' },
    ])
    expect((await fleet('stack rm shop --yes')).stderr).toMatch(/no stack called "shop"/)
    const removed = await ok('stack rm shop --yes --on h1')
    expect(removed).toMatch(/kept volumes: shop_data\n.*kept files.*\/shop\/root/)
    const listed = `docker ps -aq --filter label=com.docker.compose.project=shop; docker network ls -q --filter name=shop`
    expect(await onHost(h1, listed)).toBe('')
    expect(await onHost(h1, 'docker image ls -q fleet-release/shop/web')).toBe('')
    const store = '/var/lib/fleet/stacks/0123abcd/shop'
    expect(await onHost(h1, `cd ${store} && find . -type f`)).toBe('./root/files/shop/site/own')
    expect(await onHost(h1, 'docker volume ls -q')).toBe('shop_data')
    expect((await fleet('stack rm shop --yes --volumes --on h1')).stderr).toMatch(/--destroy shop/)
    await ok('stack rm shop --yes --volumes --destroy shop --on all')
    for (const host of lab.hosts) {
      expect(await onHost(host, `docker volume ls -q; ls -d ${store} 2>/dev/null`)).toBe('')
    }
    expect(await json('stack ls')).toEqual([])
  })

  test('include adopted projects started by hand, to which a failed deployment is rolled back', async () => {
    const byHand = `services: { web: { image: 'bb:1', command: [sh, -c, '${waitForever}'], stop_grace_period: 0s, environment: { FROM: hand }, volumes: ['./site:/site', 'data:/data'] } }\nvolumes: { data: {} }\n`
    await onHost(
      h1,
      `mkdir -p /srv/shop/site && cd /srv/shop && printf %s '${byHand.replaceAll("'", `'\\''`)}' >compose.yaml && docker compose up -d && docker exec shop-web-1 sh -c 'echo kept > /data/db'`,
    )
    await lay({
      'machines.yaml': inventory({ shop: { ...shop.shop, on: 'h1', wait: 60 } }),
      'shop/compose.yaml': `services: { web: { image: 'bb:1', command: 'false', volumes: ['data:/data'] } }\nvolumes: { data: {} }\n`,
    })
    expect(await json('stack ls --on h1')).toMatchObject([{ state: 'unmanaged' }])
    expect(await json('stack adopt shop')).toEqual([
      {
        ...{ machine: 'h1', stack: 'shop', release: 1, services: ['web'], differing: [] },
        mounts: ['/srv/shop/site'],
      },
    ])
    const { code, stderr } = await fleet('deploy --yes')
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('Release 1 was restored'),
    })
    expect(await inWeb(h1, 'echo $FROM; cat /data/db')).toBe('hand\nkept')
  })

  test('build images once per architecture, on buildOn if it has this architecture', async () => {
    const h3 = await lab.add()
    await giveHostCompose(h3, newer)
    const others = await Promise.all([h2, h3].map((host) => serveAs(host, 'arm64')))
    const multi = { compose: 'multi/compose.yaml', on: 'all', buildOn: 'h3', wait: 60 }
    await lay({
      'machines.yaml': inventory({ multi }, ({ name }) =>
        name === 'h1' ? {} : { socket: otherSocket },
      ),
      'multi/compose.yaml': `services: { web: { build: ./app, command: ${wait}, stop_grace_period: 0s } }\n`,
      // a different image for each build
      'multi/app/Dockerfile': 'FROM bb:1\nRUN cat /proc/sys/kernel/random/uuid >/version\n',
    })
    const output = await ok('deploy multi --yes')
    expect(output).toMatch(/h1: build images: on h1/)
    expect(output).toMatch(/h2: build images: on h3/)
    expect(output).toMatch(/h2: copy images: from h3/)
    const [one, two, three] = await Promise.all(
      lab.hosts.map((host) => onHost(host, 'docker exec multi-web-1 cat /version')),
    )
    expect(two).toBe(three)
    expect(one).not.toBe(two)
    for (const other of others) await other[Symbol.asyncDispose]()
  })
})
