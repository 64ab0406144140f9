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
      expect(await onHost(h1, 'docker compose -p shop ps -q 2>/dev/null | wc -l')).toBe(
        here ? '0' : '2',
      )
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

    test.runIf(here)('shows containers that were stopped or removed by hand', async () => {
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

    test.runIf(here)(
      'that does not become healthy stops at the second of five machines, which returns to its release',
      async () => {
        await ok('deploy --yes')
        const before = await Promise.all(lab.hosts.map(containers))
        const bad = composeFile.replace(
          'cat /etc',
          () => '[ $$FLEET != h2 ] || { echo no luck >&2; exit 3; }; cat /etc',
        )
        await lay({ 'shop/compose.yaml': bad })
        const { code, stderr } = await fleet('deploy --yes')
        expect({ stderr, code }).toMatchObject({ code: 1 })
        expect(stderr).toContain('no luck')
        expect(stderr).toMatch(/Release \d+ was put back\./)
        expect(stderr).toMatch(/not deployed on h3..h5/)
        const after = await Promise.all(lab.hosts.map(containers))
        expect(after[0]?.['web']).not.toBe(before[0]?.['web'])
        expect(Object.keys(after[1] ?? {}).toSorted()).toEqual(['db', 'web'])
        expect(after.slice(2)).toEqual(before.slice(2))
        await lay({ 'shop/compose.yaml': composeFile })
        await ok('deploy --yes')
      },
    )

    test.runIf(here)(
      'is deployed on a host that the same apply adopts, and that nothing connects to before',
      async () => {
        const { machines, ...rest } = JSON.parse(await ana.inventory()) as {
          machines: Record<string, { host?: unknown }>
        }
        const { h5 = {}, ...others } = machines
        const { host: _record, ...entry } = h5
        await lab.hosts[4]?.exec('docker rm -f $(docker ps -aq); rm -rf /var/lib/fleet/stacks')
        await lay({
          'machines.yaml': JSON.stringify({ ...rest, machines: { ...others, h5: entry } }),
        })
        const { code, stdout } = await fleet('plan --on h5')
        expect(code).toBe(2)
        expect(stdout).toMatch(/\+ h5: adopt/)
        expect(stdout).toMatch(/\+ shop on h5, after it is adopted\n +create db/)
        await ok('apply --yes --accept-new --on h5')
        expect(Object.keys(await containers(lab.hosts[4] as LabHost)).toSorted()).toEqual([
          'db',
          'web',
        ])
        expect(await ok('deploy')).toContain('nothing to do')
      },
    )

    test
      .runIf(here)
      .each(['lock the stack', 'compare containers', 'copy files', 'start containers'])(
      'goes on after fleet was killed at "%s"',
      async (step) => {
        await lay({ 'shop/app.conf': `${step}\n`, 'shop/site/index.html': step })
        const killed = await fleet('deploy --yes --on h1', {
          said: (stderr, pid) => {
            if (stderr.includes(`h1: ${step}`)) process.kill(pid, 'SIGKILL')
          },
        })
        expect(killed.code).not.toBe(0)
        await ok('deploy --yes --on h1 --wait-lock 100')
        expect(await ok('deploy --on h1')).toContain('nothing to do')
        const { web = '' } = await containers(lab.hosts[0] as LabHost)
        expect(await onHost(lab.hosts[0] as LabHost, `docker logs ${web}`)).toContain(step)
      },
    )

    test('tells a second operator who is deploying it, and since when', async () => {
      const [h1] = lab.hosts as [LabHost]
      // The first deployment ends when the file exists.
      const gated = composeFile
        .replace("'-s', '/run/secrets/password'", "'-e', '/gate/open'")
        .replace('retries: 20 }', "retries: 2000 }\n    volumes: ['/srv/gate:/gate']")
      await lay({ 'shop/compose.yaml': gated })
      let second: ReturnType<typeof fleet> | undefined
      const first = await fleet('deploy --yes --on h1', {
        said: (stderr) => {
          if (!stderr.includes('start containers') || second !== undefined) return
          second = fleet('deploy --yes --on h1')
          void second.then(() => h1.exec('mkdir -p /srv/gate && touch /srv/gate/open'))
        },
      })
      expect(first).toMatchObject({ code: 0 })
      const told = await second
      expect(told?.stderr).toMatch(
        /stack shop is locked on .*: .*@.* has been changing it since 20.*: deploy shop/,
      )
      expect(told?.code).toBe(1)
    })
  },
)
