import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { checkJsonOutput } from '../../support/json-output.ts'
import { openTerminal } from '../../support/process/live-terminal.ts'
import {
  canDeployStacks,
  giveCompose,
  writeFiles,
  localCompose,
} from '../../support/stacks/stack-lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'

/** Shell command that prints a greeting and keeps running, or fails if MODE is `bad`. */
const serve =
  'echo "hello from $HOSTNAME"; [ "$MODE" != bad ] || { echo cannot start; exit 3; }; exec sleep 1000'

/** Returns a Compose file without virtual IP addresses, which require IPVS; the kernel may lack it. */
const composeFile = (mode: string) => `
services:
  web:
    image: bb:1
    command: sh -c 'cat /etc/app.conf /run/secrets/password; [ $$MODE = good ] || { echo cannot start; exit 3; }; exec sleep 1000'
    environment: { MODE: ${mode} }
    configs: [{ source: app, target: /etc/app.conf, mode: 0440 }]
    secrets: [password]
    stop_grace_period: 1s
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      resources: { limits: { cpus: '0.5', memory: 64M } }
      update_config: { failure_action: rollback, monitor: 1s }
  worker:
    build: ./worker
    command: sh -c 'cat /version; exec sleep 1000'
    stop_grace_period: 1s
    deploy: { mode: global, endpoint_mode: dnsrr }
configs: { app: { file: ./app.conf } }
secrets: { password: { file: ./password } }
`

interface TaskRow {
  readonly task: string
  readonly machine: string
  readonly state: string
  readonly desired: string
  readonly container: string
}

describe.skipIf(!labIsHere)('services of a swarm', () => {
  let lab: Lab
  let ana: TestUser

  const fleet = (line: string, ...words: readonly string[]) =>
    ana.fleet([...line.split(' '), ...words], { env: { DOCKER_BUILDKIT: '0' } })
  const ok = async (line: string, ...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await fleet(line, ...words)
    expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' })
    return stdout
  }
  /** Resolves to the current tasks of a service. */
  const tasks = async (service: string): Promise<readonly TaskRow[]> =>
    JSON.parse(await ok(`service ps ${service} --current --json`)) as TaskRow[]
  const running = async (service: string) =>
    (await tasks(service)).filter(({ state }) => state === 'running')

  /** Resolves to the exit code and the output of `fleet plan`. */
  const plan = async () => {
    const { code, stdout, stderr } = await fleet('plan --timeout 60')
    return { code, text: stdout + stderr }
  }

  beforeAll(async () => {
    lab = await startLab({ hosts: 3, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const machines = lab.hosts.map(({ name, address, hostKey }) => {
      const host = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
      return `  ${name}: ${JSON.stringify({ driver: 'ssh', options: { address }, host })}\n`
    })
    const swarm = 'swarms:\n  prod:\n    managers: all\n'
    const text = `version: 1\nid: 0123abcd\n${swarm}machines:\n${machines.join('')}`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    await ok('apply --yes --timeout 60')
    if (canDeployStacks) await giveCompose(ana, localCompose.plugin)
  }, 300_000)
  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test("can be listed, and docker with the swarm's name uses a manager", async () => {
    const create = 'docker service create --detach --no-resolve-image --name'
    const policy = '--update-failure-action rollback --update-monitor 1s --stop-grace-period 1s'
    await ok(`-m prod ${create} web --replicas 2 ${policy} bb:1 sh -c`, serve)
    await ok('service scale web=3 --wait 150')
    const listed = await ok('service ls --json')
    checkJsonOutput('serviceLs', listed)
    expect(JSON.parse(listed)).toMatchObject([{ service: 'web', running: 3, desired: 3 }])
    expect(await ok('-m prod docker service ls -q')).not.toBe('')
    const rows = await running('web')
    expect(rows.map(({ task }) => task)).toEqual(['web.1', 'web.2', 'web.3'])
    expect(new Set(rows.map(({ machine }) => machine)).size).toBe(3)
    const other = await fleet('service ls -m h1')
    expect(other).toMatchObject({ code: 2, stderr: expect.stringMatching(/h1 is a machine/) })
  }, 300_000)

  test('are reached by exec and logs on the engine that runs the task', async () => {
    const [, second] = await running('web')
    const name = second?.container.slice(0, 12)
    expect(await ok('exec web.2 hostname')).toBe(`${name}\n`)
    expect(await ok('-m prod exec web.2 hostname')).toBe(`${name}\n`)
    expect(await fleet('exec web.2 sh -c', 'exit 7')).toMatchObject({ code: 7 })
    expect(await ok('logs web.2')).toBe(`hello from ${name}\n`)
    expect((await ok('service logs web')).match(/^web\.\d h\d +\| hello from /gm)).toHaveLength(3)
    const shell = await ana.fleetOnTerminal(
      ['exec', '-it', 'web.2', 'sh'],
      [{ at: '#', type: 'echo "in $((40 + 2))"; exit\r' }],
    )
    expect(shell).toMatchObject({ code: 0, screen: expect.stringMatching(/in 42/) })
  }, 120_000)

  test('replace their tasks on an update, and restore the old ones on a rollback', async () => {
    const before = new Set((await running('web')).map(({ container }) => container))
    await ok('service update --env-add COLOR=blue --no-resolve-image --wait 150 web')
    const after = await running('web')
    expect(after).toHaveLength(3)
    expect(after.filter(({ container }) => before.has(container))).toEqual([])
    expect(await ok('exec web.1 sh -c', 'echo "$COLOR"')).toBe('blue\n')
    await ok('service rollback web --wait 150')
    expect(await ok('exec web.1 sh -c', 'echo "$COLOR"')).toBe('\n')
  }, 300_000)

  test('whose update is rolled back fail with the error and the log of the task', async () => {
    const { code, stderr } = await fleet('service update --env-add MODE=bad --wait 150 web')
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /service web: the update was rolled back[^]*web\.\d on h\d: .*non-zero exit \(3\)[^]*cannot start/,
      ),
    })
    await expect.poll(async () => running('web')).toHaveLength(3)
  }, 300_000)

  test('fail if their update is paused, or if they are not ready in time', async () => {
    const create = '-m prod docker service create --detach --no-resolve-image --name'
    await ok(`${create} fragile --update-failure-action pause bb:1 sh -c`, serve)
    const paused = await fleet('service update --env-add MODE=bad --wait 150 fragile')
    expect(paused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the update is paused[^]*cannot start/),
    })
    await ok(`${create} stuck --replicas 0 --constraint node.labels.none==1 bb:1`)
    const stuck = await fleet('service scale stuck=1 --wait 3')
    expect(stuck).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/0 of 1 tasks were running after 3 s[^]*no suitable node/),
    })
    await ok('-m prod docker service rm fragile stuck')
  }, 300_000)

  test('are shown by fleet top with their tasks and logs, and can be changed there', async () => {
    const create = '-m prod docker service create --detach --no-resolve-image --name'
    await ok(`${create} gone --replicas 0 bb:1`)
    await using top = openTerminal([program, 'top'], {
      ...{ cwd: ana.folder, env: ana.env, rows: 30, columns: 160 },
    })
    await top.until(/h1 +running/)
    top.type('5')
    await top.until(/gone +prod +stopped +0\/0[^]*web +prod +running +3\/3 +replicated .*bb:1/)
    top.type('xd')
    await top.until(/Remove service gone in swarm prod\? \[y\/N\]/)
    top.type('y')
    await top.until((lines) => !/gone +prod/.test(lines.join('\n')))
    top.type('\r')
    await top.until(/web\.1 +h\d +running[^]*web\.2 +h\d +running[^]*web\.3 +h\d +running/)
    top.type('l')
    await top.until((lines) =>
      [1, 2, 3].every((slot) => lines.some((line) => line.includes(`/web.${slot} hello from `))),
    )
    top.type('q')
    await top.until(/web +prod +running +3\/3/)
    top.type('xs2\r')
    await top.until(/Scale service web in swarm prod to 2 replicas\? \[y\/N\]/)
    top.type('y')
    await top.until(/web +prod +running +2\/2/)
    top.type('xry')
    await top.until(/web +prod +running +2\/2 +replicated +completed/, 150)
    top.type('xby')
    await top.until(/web +prod +running +2\/2 +replicated +rollback completed/, 150)
    top.type('xs3\ry')
    await top.until(/web +prod +running +3\/3/)
    top.type('q')
    expect(await top.ended).toBe(0)
  }, 300_000)

  describe.skipIf(!canDeployStacks)('a stack', () => {
    const nothingToDo = {
      code: 0,
      text: expect.not.stringMatching(/fleet apply|attention/) as string,
    }

    test('is deployed to the swarm, and the second plan is empty', async () => {
      await writeFiles(ana.folder, {
        'shop/compose.yaml': composeFile('good'),
        'shop/app.conf': 'first\n',
        'shop/password': 'swordfish\n',
        'shop/worker/Dockerfile': 'FROM bb:1\nCOPY version /version\n',
        'shop/worker/version': 'built once\n',
      })
      const inventory = await ana.inventory()
      const stacks = 'stacks:\n  shop: { compose: shop/compose.yaml, swarm: prod, wait: 150 }\n'
      await writeFile(join(ana.folder, 'machines.yaml'), `${inventory}${stacks}`)
      const before = await plan()
      expect(before).toMatchObject({ code: 2 })
      expect(before.text).toMatch(/\+ shop on swarm prod\n +create web .*\n +create worker /)
      const { code, stderr } = await fleet('deploy --yes --timeout 60')
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringMatching(/1 of 1 deployment/),
      })
      expect(await plan()).toEqual(nothingToDo)
      expect(await ok('stack logs shop web')).toMatch(/first[^]*swordfish/)
      expect((await ok('stack logs shop worker')).match(/built once/g)).toHaveLength(3)
      const listed = await ok('stack ls --json')
      checkJsonOutput('stackLs', listed)
      expect(JSON.parse(listed)).toMatchObject([
        { stack: 'shop', swarm: 'prod', state: 'deployed', release: 1, running: 5 },
      ])
      expect(JSON.parse(await ok('stack ps shop --json'))).toHaveLength(5)
    }, 300_000)

    test('is locked for others while one user deploys it', async () => {
      await writeFiles(ana.folder, { 'shop/app.conf': 'third\n' })
      const env = { DOCKER_BUILDKIT: '0' }
      const words = ['deploy', '--yes', '--timeout', '60']
      let others: readonly ReturnType<typeof fleet>[] = []
      const first = await ana.fleet(words, {
        env,
        said(stderr, pid) {
          if (others.length > 0 || !stderr.includes('create configs and secrets')) return
          process.kill(pid, 'SIGSTOP')
          const resume = () => {
            try {
              process.kill(pid, 'SIGCONT')
            } catch {
              // the process has exited
            }
          }
          const second = ana.fleet(words, { env })
          const third = ana.fleet([...words, '--wait-lock', '300'], {
            env,
            said(text) {
              if (!text.includes('stack shop is locked')) return
              void second.finally(resume)
            },
          })
          others = [second, third]
          void Promise.allSettled(others).then(resume)
        },
      })
      expect(first).toMatchObject({ code: 0 })
      const [second, third] = await Promise.all(others)
      expect(second).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /h\d: stack shop is locked: \S+@\S+ has been changing it since 20\S+ \(deploy shop\)\n +wait/,
        ),
      })
      expect(third).toMatchObject({ code: 0 })
      expect(await plan()).toEqual(nothingToDo)
    }, 300_000)

    test('replaces only tasks whose config has changed', async () => {
      const before = await tasks('shop_worker')
      await writeFiles(ana.folder, { 'shop/app.conf': 'second\n' })
      expect((await plan()).text).toMatch(/shop on swarm prod\n +recreate web .*\n(?! )/)
      expect(await fleet('deploy --yes --timeout 60')).toMatchObject({ code: 0 })
      expect(await ok('stack logs shop web')).toMatch(/second/)
      expect(await tasks('shop_worker')).toEqual(before)
      await ok('-m prod docker service scale --detach shop_web=1')
      expect((await plan()).text).toMatch(/scale web \(replicas 1 -> 2\)/)
    }, 300_000)

    test('that is rolled back fails with the last log lines of the task', async () => {
      await writeFiles(ana.folder, { 'shop/compose.yaml': composeFile('bad') })
      const { code, stderr } = await fleet('deploy --yes --timeout 60')
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(
          /service shop_web: the update was rolled back[^]*non-zero exit \(3\)[^]*cannot start/,
        ),
      })
      expect((await plan()).text).toMatch(/recreate web \(the last update was rolled back\)/)
    }, 300_000)

    test('is deployed without docker on this computer', async () => {
      const [first] = lab.hosts
      const folder = '~/.docker/cli-plugins'
      await first?.exec(
        `mkdir -p ${folder} && cp '${localCompose.plugin}' ${folder}/docker-compose`,
      )
      await writeFiles(ana.folder, { 'shop/compose.yaml': composeFile('good') })
      const words = ['deploy', '--yes', '--timeout', '60']
      const { code, stderr } = await ana.fleet(words, { env: { PATH: ana.nodeOnly } })
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringMatching(/1 of 1 deployment/),
      })
      expect(await plan()).toEqual(nothingToDo)
    }, 300_000)

    test('returns to an earlier release, and is removed completely', async () => {
      await ok('stack rollback shop --to 2 --yes')
      expect(await ok('stack logs shop web')).toMatch(/third/)
      const inventory = await ana.inventory()
      await writeFile(
        join(ana.folder, 'machines.yaml'),
        inventory.replace(/stacks:\n {2}shop: .*\n/, ''),
      )
      expect(await ok('stack ls')).toMatch(
        /^shop\tdeployed\t2\t.*not assigned to this swarm in the inventory$/m,
      )
      await ok('stack rm shop --yes')
      for (const host of lab.hosts) {
        expect(
          (await host.exec('ls /var/lib/fleet/stacks/0123abcd 2>/dev/null; true')).stdout,
        ).toBe('')
      }
      expect(await ok('-m prod docker service ls -q --filter name=shop')).toBe('')
      const left = await ok('-m prod docker config ls -q')
      expect(left + (await ok('-m prod docker secret ls -q'))).toBe('')
    }, 300_000)
  })

  test('are managed by another manager when one is down, and logs of the others are shown', async () => {
    const [first] = lab.hosts
    await first?.stop()
    // If the stopped host was the leader, the other managers first elect a new one.
    const list = async () => (await fleet('-m prod docker service ls -q')).code
    await expect.poll(list, { timeout: 100_000 }).toBe(0)
    expect(await ok('service ls --quiet')).toBe('web\n')
    const { code, stdout, stderr } = await fleet('service logs web')
    // The unavailable machine is reported, unless the swarm has already replaced the machine's task on another node.
    expect(code === 0 ? 'h1' : stderr).toMatch(/h1/)
    expect(stdout).toMatch(/h2 +\| hello from/)
    expect(stdout).toMatch(/h3 +\| hello from/)
  }, 300_000)
})
