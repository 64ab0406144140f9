import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkJsonOutput } from '../../support/json-output.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'

/** Resolves to the files below a directory that contain a text. */
async function filesWith(folder: string, text: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const found = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name)
      return (await readFile(path, 'latin1')).includes(text) ? [path] : []
    })
  return (await Promise.all(found)).flat()
}

/** Returns a shell command that hides the content of a directory from the host. */
const hide = (folder: string): string => `mkdir -p ${folder} && mount -t tmpfs tmpfs ${folder}`

/** Returns the part of a join token that is a digest of the certificate authority. */
const ca = (token: string): string | undefined => token.split('-')[2]

describe.skipIf(!labIsHere)('a swarm with problems', () => {
  let swarm: SwarmLab

  beforeAll(async () => {
    const [manager, web] = [{ role: 'manager' }, { role: 'web' }]
    swarm = await SwarmLab.start(
      { h1: manager, h2: manager, h3: manager, h4: web, h5: web, h6: { role: 'none' } },
      { power: true },
    )
    await swarm.ok('apply --yes --timeout 60')
  })
  afterAll(() => swarm?.[Symbol.asyncDispose]())

  /** Starts or stops dropping packets to a TCP port of a host. */
  const block = (name: string, port: number, from: string, on: boolean) =>
    swarm.on(
      name,
      `iptables -w ${on ? '-I' : '-D'} INPUT -p tcp --dport ${port} -s ${swarm.host(from).address} -j DROP`,
    )

  test('has the ports between all members checked', async () => {
    const text = await swarm.ok('swarm check')
    // 4 others connect to two ports of each of the 3 managers, and to one port of each of the 2 workers
    expect(text).toContain('prod: 32 of 32 connections between 5 members work')
    await block('h4', 7946, 'h1', true)
    const { code, stdout } = await swarm.ana.fleet(['swarm', 'check', 'prod', '--json'])
    await block('h4', 7946, 'h1', false)
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual([
      {
        ...{ swarm: 'prod', from: 'h1', to: 'h4', address: swarm.host('h4').address },
        ...{ port: 7946, state: 'blocked' },
      },
    ])
  })

  test('has the kernel modules of its members checked', async () => {
    // A module that is in neither directory is neither loaded nor loadable.
    await swarm.on(
      'h5',
      `${hide('/sys/module')} && { [ ! -e /lib/modules ] || ${hide('/lib/modules')}; }`,
    )
    const { code, stderr } = await swarm.ana.fleet(['swarm', 'check', 'prod'])
    await swarm.on('h5', 'umount /sys/module; [ ! -e /lib/modules ] || umount /lib/modules')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(
        /warning: swarm prod: no ip_vs kernel module on (?:h1\.\.)?h5;/,
      ),
    })
    expect(stderr).toMatch(/warning: swarm prod: no vxlan kernel module on h5;/)
  })

  test('does not get a member that a manager cannot reach', async () => {
    swarm.labels['h6'] = { role: 'web' }
    await swarm.save()
    await block('h6', 7946, 'h2', true)
    const { code, stderr } = await swarm.ana.fleet(['apply', '--yes', '--timeout', '60'])
    await block('h6', 7946, 'h2', false)
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /h2 cannot reach .* on port 7946\/tcp[^]*allow 7946\/tcp from h2 to h6/,
      ),
    })
    expect(await swarm.on('h6', 'docker info -f {{.Swarm.LocalNodeState}}')).toBe('inactive')
    await swarm.ok('apply --yes --timeout 60')
    expect(await swarm.plan()).toEqual(nothingToDo)
  })

  test('unlocks managers with a key that is stored nowhere', async () => {
    swarm.settings = ['autolock: true']
    await swarm.save()
    await swarm.ok('apply --yes --timeout 60')
    const key = await swarm.on('h1', 'docker swarm unlock-key -q')
    expect(key).toMatch(/^SWMKEY-/)
    const state = (name: string) => swarm.on(name, 'docker info -f {{.Swarm.LocalNodeState}}')
    await swarm.ok('restart h2')
    expect(await state('h2')).toBe('active')
    await swarm.host('h3').stop()
    await swarm.host('h3').start()
    expect(await state('h3')).toBe('locked')
    expect(await swarm.plan()).toMatchObject({
      text: expect.stringMatching(/h3: the swarm is locked .*fleet swarm unlock prod/),
    })
    const env = { FLEET_DEBUG: '1', FLEET_DEBUG_FILE: join(swarm.ana.home, 'trace.log') }
    const { code, stdout } = await swarm.ana.fleet(['swarm', 'unlock', 'prod'], { env })
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'prod\th3\n' })
    expect(await state('h3')).toBe('active')
    expect(await filesWith(swarm.ana.home, key)).toEqual([])
    expect(await filesWith(swarm.ana.folder, key)).toEqual([])
    await swarm.ok('swarm rotate prod --unlock-key --yes')
    expect(await swarm.on('h1', 'docker swarm unlock-key -q')).not.toBe(key)
    swarm.settings = ['autolock: false']
    await swarm.save()
    await swarm.ok('apply --yes --timeout 60')
    expect(await swarm.plan()).toEqual(nothingToDo)
  })

  test('lets a worker with a failed engine join again', async () => {
    const h6 = swarm.host('h6')
    await h6.exec('echo broken >/var/lib/docker/swarm/certificates/swarm-node.crt')
    await h6.stop()
    await h6.start()
    const state = () => swarm.on('h6', 'docker info -f {{.Swarm.LocalNodeState}}')
    await expect.poll(state, { timeout: 60_000 }).toBe('error')
    const status = async () => (await swarm.nodes())['h6']?.Status.State
    await expect.poll(status, { timeout: 60_000 }).toBe('down')
    const before = (await swarm.nodes())['h6']?.ID
    expect((await swarm.plan()).text).toMatch(
      /h6: join prod as worker \(the node cannot take part in its swarm: .*certificate.*will be forced to leave/i,
    )
    await swarm.ok('apply --yes --timeout 60')
    expect(await swarm.plan()).toEqual(nothingToDo)
    const node = (await swarm.nodes())['h6']
    expect(node).toMatchObject({
      Status: { State: 'ready' },
      Spec: { Availability: 'active', Labels: { 'fleet.machine': 'h6', role: 'web' } },
    })
    expect(node?.ID).not.toBe(before)
  })

  test('gets new join tokens and certificates', async () => {
    const token = () => swarm.on('h1', 'docker swarm join-token -q worker')
    const before = await token()
    await swarm.ok('swarm rotate prod --yes')
    const tokens = await token()
    expect(tokens).not.toBe(before)
    await swarm.ok('swarm rotate prod --ca --yes')
    expect(await swarm.on('h1', 'docker node ls --format {{.TLSStatus}} | sort -u')).toBe('Ready')
    expect(ca(await token())).not.toBe(ca(tokens))
  })

  test('is recovered from its only remaining manager', async () => {
    swarm.labels['h6'] = { role: 'web' }
    await swarm.save()
    await swarm.ok('apply --yes --timeout 60')
    await swarm.on(
      'h1',
      'docker service create --quiet --detach --name shop --endpoint-mode dnsrr --no-resolve-image --constraint node.labels.role==web bb:1 sleep 100000',
    )
    const running = async () => {
      const tasks = await swarm.on('h1', `docker service ps shop --format '{{.CurrentState}}'`)
      return tasks.split('\n').filter((line) => line.startsWith('Running ')).length
    }
    await expect.poll(running, { timeout: 60_000 }).toBe(1)
    const refused = await swarm.ana.fleet(['swarm', 'recover', 'prod', '--confirm', 'prod'])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/it has a leader/) })
    await swarm.host('h2').kill()
    await swarm.host('h3').kill()
    const leader = () => swarm.on('h1', 'docker node ls >/dev/null 2>&1; echo $?')
    await expect.poll(leader, { timeout: 60_000 }).not.toBe('0')
    const unconfirmed = await swarm.ana.fleet(['swarm', 'recover', 'prod', '--timeout', '5'])
    expect(unconfirmed).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/do not respond: h2, h3[^]*--confirm prod/),
    })
    const words = ['swarm', 'recover', 'prod', '--confirm', 'prod', '--json', '--timeout', '5']
    const { code, stdout, stderr } = await swarm.ana.fleet(words)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    checkJsonOutput('swarmRecover', stdout)
    const result = JSON.parse(stdout) as { removed: string[] }
    expect(result).toMatchObject({ swarm: 'prod', manager: 'h1' })
    expect(result.removed.toSorted()).toEqual(['h2', 'h3'])
    const names = async () => Object.keys(await swarm.nodes()).toSorted()
    expect(await names()).toEqual(['h1', 'h4', 'h5', 'h6'])

    await swarm.ok('rm --yes h2 h3')
    delete swarm.labels['h2']
    delete swarm.labels['h3']
    for (const name of ['h4', 'h5']) swarm.labels[name] = { role: 'manager' }
    await swarm.save()
    await swarm.ok('apply --yes --timeout 60')
    expect(await swarm.plan()).toEqual(nothingToDo)
    const nodes = await swarm.nodes()
    expect(await names()).toEqual(['h1', 'h4', 'h5', 'h6'])
    for (const name of ['h1', 'h4', 'h5']) {
      expect(nodes[name]?.ManagerStatus?.Reachability).toBe('reachable')
    }
    expect(nodes['h6']?.Spec.Labels).toMatchObject({ role: 'web', 'fleet.machine': 'h6' })
    await expect.poll(running, { timeout: 60_000 }).toBe(1)
  })
})
