import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { checkJsonOutput } from '../../support/json-output.ts'
import { type Person, makePerson } from '../../support/test-user.ts'

/** Says hello and stays; fails if the variable MODE says so. */
const serve =
  'echo "hello from $HOSTNAME"; [ "$MODE" != bad ] || { echo cannot start; exit 3; }; exec sleep 1000'

interface TaskRow {
  readonly task: string
  readonly machine: string
  readonly state: string
  readonly desired: string
  readonly container: string
}

describe.skipIf(!labIsHere)('services of a swarm', () => {
  let lab: Lab
  let ana: Person

  const fleet = (line: string, ...words: readonly string[]) =>
    ana.fleet([...line.split(' '), ...words])
  const ok = async (line: string, ...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await fleet(line, ...words)
    expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' })
    return stdout
  }
  /** The current tasks of a service. */
  const tasks = async (service: string): Promise<readonly TaskRow[]> =>
    JSON.parse(await ok(`service ps ${service} --current --json`)) as TaskRow[]
  const running = async (service: string) =>
    (await tasks(service)).filter(({ state }) => state === 'running')

  beforeAll(async () => {
    lab = await startLab({ hosts: 3, engine: true, image: true })
    ana = await makePerson({ identity: lab.identity.file, broker: true })
    const machines = lab.hosts.map(({ name, address, hostKey }) => {
      const host = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
      return `  ${name}: ${JSON.stringify({ driver: 'ssh', options: { address }, host })}\n`
    })
    const swarm = 'swarms:\n  prod:\n    managers: all\n'
    const text = `version: 1\nid: 0123abcd\n${swarm}machines:\n${machines.join('')}`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    await ok('apply --yes --timeout 60')
  }, 180_000)
  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test('the name of the swarm leads docker to a manager, and its services are listed', async () => {
    const create = 'docker service create --detach --no-resolve-image --name'
    const policy = '--update-failure-action rollback --update-monitor 1s --stop-grace-period 1s'
    await ok(`-m prod ${create} web --replicas 2 ${policy} bb:1 sh -c`, serve)
    await ok('service scale web=3 --wait 60')
    const listed = await ok('service ls --json')
    checkJsonOutput('serviceLs', listed)
    expect(JSON.parse(listed)).toMatchObject([{ service: 'web', running: 3, desired: 3 }])
    expect(await ok('-m prod docker service ls -q')).not.toBe('')
    const rows = await running('web')
    expect(rows.map(({ task }) => task)).toEqual(['web.1', 'web.2', 'web.3'])
    expect(new Set(rows.map(({ machine }) => machine)).size).toBe(3)
    const other = await fleet('service ls -m h1')
    expect(other).toMatchObject({ code: 2, stderr: expect.stringMatching(/h1 is a machine/) })
  }, 120_000)

  test('exec and logs speak with the engine that runs the task', async () => {
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
  }, 60_000)

  test('an update replaces the tasks, and a rollback brings the old ones back', async () => {
    const before = new Set((await running('web')).map(({ container }) => container))
    await ok('service update --env-add COLOR=blue --no-resolve-image --wait 60 web')
    const after = await running('web')
    expect(after).toHaveLength(3)
    expect(after.filter(({ container }) => before.has(container))).toEqual([])
    expect(await ok('exec web.1 sh -c', 'echo "$COLOR"')).toBe('blue\n')
    await ok('service rollback web --wait 60')
    expect(await ok('exec web.1 sh -c', 'echo "$COLOR"')).toBe('\n')
  }, 120_000)

  test('an update that is rolled back fails with the error and the log of the task', async () => {
    const { code, stderr } = await fleet('service update --env-add MODE=bad --wait 60 web')
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /service web: it was rolled back[^]*web\.\d on h\d: .*non-zero exit \(3\)[^]*cannot start/,
      ),
    })
    expect(await running('web')).toHaveLength(3)
  }, 120_000)

  test('a paused update fails, and so does a service that does not get ready in time', async () => {
    const create = '-m prod docker service create --detach --no-resolve-image --name'
    await ok(`${create} fragile --update-failure-action pause bb:1 sh -c`, serve)
    const paused = await fleet('service update --env-add MODE=bad --wait 60 fragile')
    expect(paused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/its update is paused[^]*cannot start/),
    })
    await ok(`${create} stuck --replicas 0 --constraint node.labels.none==1 bb:1`)
    const stuck = await fleet('service scale stuck=1 --wait 3')
    expect(stuck).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/0 of 1 tasks run after 3 s[^]*no suitable node/),
    })
    await ok('-m prod docker service rm fragile stuck')
  }, 120_000)

  test('another manager answers when one is down, and logs of the others are shown', async () => {
    const [first] = lab.hosts
    await first?.stop()
    expect(await ok('-m prod docker service ls -q')).not.toBe('')
    expect(await ok('service ls --quiet')).toBe('web\n')
    const { code, stdout, stderr } = await fleet('service logs web')
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/h1/) })
    expect(stdout).toMatch(/h2 +\| hello from/)
    expect(stdout).toMatch(/h3 +\| hello from/)
  }, 120_000)
})
