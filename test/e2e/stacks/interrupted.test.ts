import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LabHost } from '../../support/lab/lab.ts'
import { signalProcess } from '../../support/lab/process.ts'
import {
  type StackLab,
  canDeployStacks,
  composeKinds,
  containersOn,
  giveHostCompose,
  hostCompose,
  inStore,
  localCompose,
  onHost,
  startStackLab,
  waitForever,
} from '../../support/stacks/stack-lab.ts'

const store = '/var/lib/fleet/stacks/0123abcd/shop'

const composeFile = `
services:
  db:
    image: bb:1
    command: sh -c '${waitForever}'
    stop_grace_period: 0s
    secrets: [password]
    healthcheck: { test: ['CMD', 'test', '-s', '/run/secrets/password'], interval: 200ms, retries: 20 }
  web:
    build: ./app
    command: sh -c 'cat /version /etc/app.conf; ${waitForever}'
    stop_grace_period: 0s
    configs: [{ source: app, target: /etc/app.conf }]
    depends_on: { db: { condition: service_healthy } }
configs: { app: { file: ./app.conf } }
secrets: { password: { file: ./password } }
`

/** State of a running deployment. */
interface DeploymentState {
  readonly host: LabHost
  readonly stderr: string
  /** Actions of the container events since the deployment started. */
  readonly events: readonly string[]
  /** Text that each changed file contains. */
  readonly text: string
  /** Number of the new release. */
  readonly number: number
}

const currentOf = (host: LabHost): string => {
  try {
    return readlinkSync(inStore(host, 'releases/current'))
  } catch {
    return ''
  }
}
const holds = (host: LabHost, path: string, text: string): boolean =>
  existsSync(inStore(host, path)) && readFileSync(inStore(host, path), 'utf8').includes(text)

/** Points at which fleet is killed. */
const points: Readonly<Record<string, (seen: DeploymentState) => boolean>> = {
  'while it builds images': ({ stderr }) => stderr.includes('h1: build images'),
  'when it has the lock': ({ host }) => existsSync(inStore(host, 'lock.json')),
  'while it sends files': ({ host }) =>
    readdirSync(inStore(host, '')).some((name) => name.startsWith('.incoming')),
  'when the files are in place': ({ host, text }) => holds(host, 'root/files/shop/app.conf', text),
  'when the release is recorded': ({ host, number }) =>
    existsSync(inStore(host, `releases/${number}`)),
  'when it starts compose': ({ stderr }) => stderr.includes('h1: start containers'),
  'when a new container exists': ({ events }) => events.includes('create'),
  'when an old container was stopped': ({ events }) => events.includes('die'),
  'when an old container was removed': ({ events }) => events.includes('destroy'),
  'when a new container runs': ({ events }) => events.includes('start'),
  'when the release is current': ({ host, number }) => currentOf(host) === String(number),
  'when it has released the lock': ({ host, number }) =>
    currentOf(host) === String(number) && !existsSync(inStore(host, 'lock.json')),
}

/** Points that are tested by default with compose on the hosts. FLEET_TEST_POINTS=all tests every point. */
const fewPoints = new Set([
  'while it sends files',
  'when it starts compose',
  'when an old container was stopped',
  'when the release is current',
])
const cases = composeKinds.flatMap(({ kind, here }) =>
  Object.keys(points)
    .filter((when) => here || process.env['FLEET_TEST_POINTS'] === 'all' || fewPoints.has(when))
    .map((when) => ({ when, kind, here })),
)

describe.skipIf(!canDeployStacks)('a deployment', () => {
  let shop: StackLab
  let host: LabHost
  let number = 0
  let env: Record<string, string> = {}

  beforeAll(async () => {
    shop = await startStackLab({ hosts: 1, ...localCompose })
    ;[host] = shop.hosts as [LabHost]
    await giveHostCompose(host, hostCompose.plugin)
    await shop.lay({
      'shop/compose.yaml': composeFile,
      'shop/app/Dockerfile': 'FROM bb:1\nCOPY version /version\n',
    })
  })
  afterAll(() => shop?.[Symbol.asyncDispose]())

  /** Writes `text` to all files, and deploys them with compose on this computer (`here`) or on the hosts. */
  async function deployFirst(here: boolean, text: string): Promise<void> {
    await layTexts(text)
    env = here ? {} : { PATH: shop.ana.nodeOnly }
    await shop.ok('deploy --yes --wait-lock 300', { env })
    number = Number(currentOf(host))
  }

  const layTexts = (text: string): Promise<void> =>
    shop.lay({ 'shop/app/version': text, 'shop/app.conf': text, 'shop/password': text })

  /** Deploys, and kills fleet once `isReached` returns true. On a busy computer, fleet may have exited before that. */
  async function deployUntil(
    isReached: (seen: DeploymentState) => boolean,
    text: string,
  ): Promise<void> {
    const events: string[] = []
    const watch = host.spawn([
      'docker',
      'events',
      '--filter=type=container',
      '--format={{.Action}}',
    ])
    if (watch.stdout) createInterface(watch.stdout).on('line', (line) => events.push(line))
    let stderr = ''
    let pid: number | undefined
    const look = setInterval(() => {
      if (pid === undefined) return
      if (!isReached({ host, stderr, events, text, number: number + 1 })) return
      signalProcess(pid, 'SIGKILL')
      pid = undefined
    }, 1)
    await shop.fleet('deploy --yes', {
      env,
      started: (id) => (pid = id),
      said: (all) => (stderr = all),
    })
    clearInterval(look)
    watch.kill()
  }

  test.each(cases)(
    'that was killed $when is completed by the next one ($kind)',
    async ({ when, here }) => {
      const text = `${when}\n`
      if (number === 0 || here !== (env['PATH'] === undefined)) await deployFirst(here, 'first\n')
      await layTexts(text)
      await deployUntil(points[when] ?? (() => false), text)
      await shop.ok('deploy --yes --wait-lock 300', { env })
      expect(await shop.ok('plan', { env })).toContain('nothing to do')
      const { web = '', db = '', ...others } = await containersOn(host)
      expect(others).toEqual({})
      expect(await onHost(host, `docker logs ${web}`)).toBe(`${text}${when}`)
      expect(await onHost(host, `docker exec ${db} cat /run/secrets/password`)).toBe(when)
      expect(
        await onHost(
          host,
          "docker ps -a --filter label=com.docker.compose.project=shop --format '{{.Names}}' | sort",
        ),
      ).toBe('shop-db-1\nshop-web-1')
      const temporary = "find . -name '.[!.]*' ! -path './root/*' ! -path './build/*'; ls lock.json"
      expect(await onHost(host, `cd ${store}; ${temporary}`)).toBe('')
      number = Number(currentOf(host))
    },
  )

  test('that was killed after it changed files is reverted by the next one', async () => {
    const when = 'when the files are in place'
    await deployFirst(false, 'kept\n')
    const before = await containersOn(host)
    await layTexts('undone\n')
    await deployUntil(points[when] ?? (() => false), 'undone\n')
    await layTexts('kept\n')
    const { code, stdout } = await shop.fleet('plan', { env })
    expect({ code, stdout }).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('copy files again (a deployment was interrupted)'),
    })
    await shop.ok('deploy --yes --wait-lock 300', { env })
    expect(await shop.ok('plan', { env })).toContain('nothing to do')
    const { web = '' } = await containersOn(host)
    expect(await onHost(host, `docker exec ${web} cat /etc/app.conf`)).toBe('kept')
    expect(holds(host, 'root/files/shop/app.conf', 'kept')).toBe(true)
    expect(await containersOn(host)).toEqual(before)
    expect(await onHost(host, 'docker ps -aq --filter label=fleet.unfinished')).toBe('')
  })
})
