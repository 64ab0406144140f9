import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type Person, makePerson } from '../../support/test-user.ts'

const plugins = JSON.parse(process.env['FLEET_DOCKER_PLUGINS'] ?? '{}') as Partial<
  Record<string, string>
>

/** Each version of compose, one on the operator's computer and one on the hosts alone. */
const kinds = [
  { kind: 'compose of this computer', plugin: plugins['docker-compose-new'], here: true },
  { kind: 'compose of the hosts', plugin: plugins['docker-compose'], here: false },
] as const

const composeFile = `
services:
  db:
    image: bb:1
    command: sh -c 'trap exit TERM; while :; do sleep 0.1; done'
    secrets: [password]
    stop_grace_period: 0s
    healthcheck: { test: ['CMD', 'test', '-s', '/run/secrets/password'], interval: 300ms, retries: 20 }
  web:
    image: bb:1
    command: sh -c 'cat /etc/app.conf; echo on $$FLEET; trap exit TERM; while :; do sleep 0.1; done'
    stop_grace_period: 0s
    env_file: [web.env]
    environment: { FLEET: '\${FLEET_MACHINE}' }
    configs: [{ source: app, target: /etc/app.conf }]
    volumes: ['./site:/site:ro']
    depends_on: { db: { condition: service_healthy } }
configs: { app: { file: ./app.conf } }
secrets: { password: { file: ./password } }
`

const onHost = async (host: LabHost, command: string): Promise<string> =>
  (await host.exec(command)).stdout.trim()

/** The containers of the stack by service, with their IDs. */
const containers = async (host: LabHost): Promise<Record<string, string>> => {
  const format = '{{.Label "com.docker.compose.service"}} {{.ID}}'
  const list = await onHost(
    host,
    `docker ps --filter label=com.docker.compose.project=shop --format '${format}'`,
  )
  return Object.fromEntries(
    list.split('\n').flatMap((line) => (line === '' ? [] : [line.split(' ')])),
  ) as Record<string, string>
}

describe.skipIf(!labIsHere).each(kinds.filter(({ plugin }) => plugin !== undefined))(
  'a stack with $kind',
  ({ plugin = '', here }) => {
    let lab: Lab
    let ana: Person
    let env: Record<string, string>

    const lay = async (files: Readonly<Record<string, string>>): Promise<void> => {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(ana.folder, name)), { recursive: true })
        await writeFile(join(ana.folder, name), content)
      }
    }
    const fleet = (line: string, options: Parameters<Person['fleet']>[1] = {}) =>
      ana.fleet(line.split(' '), { ...options, env: { ...env, ...options.env } })
    const ok = async (line: string): Promise<string> => {
      const { code, stdout, stderr } = await fleet(line)
      expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({
        line,
        code: 0,
        stderr: '',
      })
      return stdout + stderr
    }
    beforeAll(async () => {
      lab = await startLab({ hosts: 5, engine: true, image: true })
      ana = await makePerson({ identity: lab.identity.file, broker: true })
      env = here ? {} : { PATH: ana.nodeOnly }
      if (here) {
        const folder = join(ana.home, '.docker/cli-plugins')
        await mkdir(folder, { recursive: true })
        await symlink(plugin, join(folder, 'docker-compose'))
      } else {
        for (const host of lab.hosts) {
          await host.exec(
            `mkdir -p ~/.docker/cli-plugins && cp '${plugin}' ~/.docker/cli-plugins/docker-compose`,
          )
        }
      }
      const machines = lab.hosts.map(({ name, address, hostKey }) => {
        const host = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
        return [name, { driver: 'ssh', labels: { n: name.slice(1) }, options: { address }, host }]
      })
      await lay({
        'machines.yaml': JSON.stringify({
          ...{ version: 1, id: '0123abcd' },
          stacks: { shop: { compose: 'shop/compose.yaml', on: 'all', wait: 300 } },
          machines: Object.fromEntries(machines),
        }),
        'shop/compose.yaml': composeFile,
        'shop/web.env': 'COLOR=blue\n',
        'shop/app.conf': 'first\n',
        'shop/password': 'swordfish',
        'shop/site/index.html': 'hello',
      })
    })
    afterAll(async () => {
      await ana?.[Symbol.asyncDispose]()
      await lab?.[Symbol.asyncDispose]()
    })

    test('is deployed on three hosts, and the second plan is empty', async () => {
      const plan = await fleet('plan --on h1 --on h2 --on h3')
      expect(plan.code).toBe(2)
      expect(plan.stdout).toMatch(/\+ shop on h1..h3\n +create db \(it has no container\)\n/)
      await ok('apply --yes --on h1 --on h2 --on h3')
      expect(await ok('deploy --on h1 --on h2 --on h3')).toContain('nothing to do')
      const [h1] = lab.hosts as [LabHost]
      expect(Object.keys(await containers(h1)).toSorted()).toEqual(['db', 'web'])
      const { web = '' } = await containers(h1)
      expect(await onHost(h1, `docker logs ${web}; docker exec ${web} cat /site/index.html`)).toBe(
        'first\non h1\nhello',
      )
      expect(await onHost(h1, `docker inspect ${web}`)).not.toContain('swordfish')
    })

    test('recreates the services whose file has changed, and nothing else', async () => {
      const [h1] = lab.hosts as [LabHost]
      const before = await containers(h1)
      await lay({ 'shop/app.conf': 'second\n' })
      const planned = await fleet('deploy --on h1 --on h2')
      expect(planned).toMatchObject({ code: 2, stderr: expect.stringMatching(/--yes/) })
      expect(planned.stderr).toContain(
        'recreate web (a file or definition that it uses has changed)',
      )
      expect(await containers(h1)).toEqual(before)
      await ok('deploy --yes --on h1 --on h2')
      const after = await containers(h1)
      expect(after['db']).toBe(before['db'])
      expect(after['web']).not.toBe(before['web'])
      expect(await onHost(h1, `docker logs ${after['web']}`)).toContain('second')
    })

    test('shows containers that were stopped or removed by hand', async () => {
      const [h1, h2] = lab.hosts as [LabHost, LabHost]
      await h1.exec('docker stop -t 0 shop-web-1')
      await h2.exec('docker rm -f shop-web-1')
      const { stderr, code } = await fleet('deploy --on h1 --on h2')
      expect(code).toBe(2)
      expect(stderr).toMatch(/~ shop on h1\n +start web \(1 of 1 container exited with code \d+\)/)
      expect(stderr).toMatch(/\+ shop on h2\n +create web \(it has no container\)/)
      await ok('deploy --yes --on h1 --on h2')
      expect(Object.keys(await containers(h2)).toSorted()).toEqual(['db', 'web'])
    })
  },
)
