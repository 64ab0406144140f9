import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type Person, makePerson } from '../../support/test-user.ts'

const plugin = (
  JSON.parse(process.env['FLEET_DOCKER_PLUGINS'] ?? '{}') as Partial<Record<string, string>>
)['docker-compose']

/** Whether compose is on the operator's computer, or on the hosts alone. */
const kinds = [
  { kind: 'compose of this computer', here: true },
  { kind: 'compose of the hosts', here: false },
] as const

const wait = `sh -c 'trap exit TERM; while :; do sleep 0.1; done'`

/** A service from an image that is built here, with a volume, a mounted folder and a mounted file. */
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

const onHost = async (host: LabHost, command: string): Promise<string> =>
  (await host.exec(command)).stdout.trim()

const inWeb = (host: LabHost, command: string): Promise<string> =>
  onHost(host, `docker exec shop-web-1 sh -c '${command}'`)
const imageOf = (host: LabHost): Promise<string> =>
  onHost(host, `docker inspect --format '{{.Image}}' shop-web-1`)

describe.skipIf(!labIsHere || plugin === undefined).each(kinds)(
  'releases of a stack with $kind',
  ({ here }) => {
    let lab: Lab
    let ana: Person
    let h1: LabHost
    let h2: LabHost
    let env: Record<string, string>

    const lay = async (files: Readonly<Record<string, string>>): Promise<void> => {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(ana.folder, name)), { recursive: true })
        await writeFile(join(ana.folder, name), content)
      }
    }
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
    const inventory = (stacks: object): string =>
      JSON.stringify({
        ...{ version: 1, id: '0123abcd', stacks },
        machines: Object.fromEntries(
          lab.hosts.map(({ name, address, hostKey }) => [
            name,
            {
              ...{ driver: 'ssh', options: { address } },
              host: { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] },
            },
          ]),
        ),
      })
    const shop = { shop: { compose: 'shop/compose.yaml', on: 'all', batch: 2, wait: 60 } }

    beforeAll(async () => {
      lab = await startLab({ hosts: 2, engine: true, image: true })
      ;[h1, h2] = lab.hosts as [LabHost, LabHost]
      ana = await makePerson({ identity: lab.identity.file, broker: true })
      env = { DOCKER_BUILDKIT: '0', ...(!here && { PATH: ana.nodeOnly }) }
      for (const host of lab.hosts) {
        await host.exec(
          `mkdir -p ~/.docker/cli-plugins && cp '${plugin}' ~/.docker/cli-plugins/docker-compose`,
        )
      }
      if (here) {
        const folder = join(ana.home, '.docker/cli-plugins')
        await mkdir(folder, { recursive: true })
        await symlink(plugin ?? '', join(folder, 'docker-compose'))
      }
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

    test('images are built on one machine, and are the same on the others', async () => {
      expect(await ok('deploy --yes')).toMatch(/h2: copy images/)
      expect(await inWeb(h1, 'cat /version /conf')).toBe('onefirst')
      expect(await inWeb(h2, 'cat /version')).toBe('one')
      expect(await imageOf(h2)).toBe(await imageOf(h1))
      expect(await ok('deploy')).not.toContain('makes these changes')
      expect(await json('stack ls')).toMatchObject([
        { stack: 'shop', machine: 'h1', state: 'deployed', release: 1, running: 2, containers: 2 },
        { stack: 'shop', machine: 'h2', state: 'deployed', selected: true },
      ])
    })

    test('an earlier one is restored from the hosts alone, with its files and images', async () => {
      const before = await imageOf(h1)
      await inWeb(h1, 'echo of the container > /site/own; echo kept > /data/db')
      await lay({ 'shop/app/version': 'two', 'shop/conf': 'second' })
      await ok('deploy --yes')
      expect(await inWeb(h2, 'cat /version /conf')).toBe('twosecond')
      expect(await imageOf(h1)).not.toBe(before)
      // without what they were built from, and after an ordinary prune
      await rm(join(ana.folder, 'shop'), { recursive: true })
      for (const host of lab.hosts) await onHost(host, 'docker image prune --force')
      const said = await ok('stack rollback shop --yes')
      expect(said).toMatch(/h1: release 1 is running again, in place of 2/)
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

    test('their containers and logs are shown, and what is wrong with them', async () => {
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

    test('a stack that has left the inventory is listed and removed; what it wrote stays until that is confirmed', async () => {
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
      expect((await fleet('stack rm shop --yes --volumes --on h1')).stderr).toMatch(
        /--destroy shop/,
      )
      await ok('stack rm shop --yes --volumes --destroy shop --on all')
      for (const host of lab.hosts) {
        expect(await onHost(host, `docker volume ls -q; ls -d ${store} 2>/dev/null`)).toBe('')
      }
      expect(await json('stack ls')).toEqual([])
    })

    test('a project that was started by hand can be adopted, and a failed deployment returns to it', async () => {
      const byHand = `services: { web: { image: 'bb:1', command: [sh, -c, 'trap exit TERM; while :; do sleep 0.1; done'], stop_grace_period: 0s, environment: { FROM: hand }, volumes: ['./site:/site', 'data:/data'] } }\nvolumes: { data: {} }\n`
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
  },
)
