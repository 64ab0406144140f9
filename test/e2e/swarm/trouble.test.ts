import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'

/** The files below a folder that contain a text. */
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

/** A shell command that empties a directory of a host, as far as the host sees. */
const hide = (folder: string): string => `mkdir -p ${folder} && mount -t tmpfs tmpfs ${folder}`

/** The part of a join token that is a digest of the certificate authority. */
const ca = (token: string): string | undefined => token.split('-')[2]

describe.skipIf(!labIsHere)('a swarm', () => {
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

  /** Throws packets to a TCP port of a host away, or ends that. */
  const block = (name: string, port: number, from: string, on: boolean) =>
    swarm.on(
      name,
      `iptables -w ${on ? '-I' : '-D'} INPUT -p tcp --dport ${port} -s ${swarm.host(from).address} -j DROP`,
    )

  test('has its ports checked, from each member to each other', async () => {
    const text = await swarm.ok('swarm check')
    // 4 others reach each of 3 managers on two ports, and each of 2 workers on one
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

  test('has its kernels checked', async () => {
    // What is in neither of them is neither loaded nor loadable.
    await swarm.on(
      'h5',
      `${hide('/sys/module')} && { [ ! -e /lib/modules ] || ${hide('/lib/modules')}; }`,
    )
    const { code, stderr } = await swarm.ana.fleet(['swarm', 'check', 'prod'])
    await swarm.on('h5', 'umount /sys/module; [ ! -e /lib/modules ] || umount /lib/modules')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(
        /warning: swarm prod: the kernel of (?:h1\.\.)?h5 has no module ip_vs \(IPVS/,
      ),
    })
    expect(stderr).toMatch(/warning: swarm prod: the kernel of h5 has no module vxlan \(VXLAN/)
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
        /h2 does not reach .* on port 7946\/tcp[^]*open 7946\/tcp on h6 for h2/,
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
      text: expect.stringMatching(/h3: its swarm is locked .*fleet swarm unlock prod/),
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

  test('gets new join tokens, and new certificates', async () => {
    const token = () => swarm.on('h1', 'docker swarm join-token -q worker')
    const before = await token()
    await swarm.ok('swarm rotate prod --yes')
    const tokens = await token()
    expect(tokens).not.toBe(before)
    await swarm.ok('swarm rotate prod --ca --yes')
    await expect.poll(async () => ca(await token()), { timeout: 60_000 }).not.toBe(ca(tokens))
  })
})
