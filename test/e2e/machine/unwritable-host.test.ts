import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

/** Ways to make a user's home directory and the engine settings unwritable, with the resulting error messages. */
const faults = [
  ['on a full disk', 'size=64k', 'head -c 100000 /dev/zero > $folder/full', 'No space left'],
  ['on a read-only file system', 'size=1m', 'mount -o remount,ro $folder', 'Read-only file system'],
] as const

describe.skipIf(!labIsHere).each(faults)('a host with files %s', (_, size, spoil, reason) => {
  let lab: Lab
  let host: LabHost
  let ana: TestUser

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true })
    host = hostOf(lab)
    const prepared = await host.exec(`set -e
for folder in /srv/root /etc/docker; do
  mkdir -p $folder
  cp -a $folder /tmp/kept
  mount -t tmpfs -o ${size},mode=755 tmpfs $folder
  cp -a /tmp/kept/. $folder
  rm -r /tmp/kept
  ${spoil} || true
done`)
    expect(prepared.stderr).not.toContain('mount:')
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('is adopted and used like any other', async () => {
    const adopt = ['adopt', `root@${host.address}`, '--name', 'h1', '--accept-new']
    expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    expect(await ana.fleet(['ps', '-m', 'h1', '-q'])).toMatchObject({ code: 0, stdout: '' })
    expect(await ana.fleet(['ssh', 'h1', '--', 'echo', 'there'])).toMatchObject({
      stdout: 'there\n',
    })
  })

  test('reports that it cannot authorize an operator, and is unchanged', async () => {
    const before = await host.exec('ls -A ~/.ssh; cat ~/.ssh/authorized_keys')
    const key = join(ana.home, 'ben.pub')
    await writeFile(
      key,
      `${lab.identity.publicKey.split(' ')[0]} AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(43)} ben\n`,
    )
    expect(await ana.fleet(['operator', 'add', 'ben', '--key', key])).toMatchObject({ code: 0 })
    const { code, stderr } = await ana.fleet(['apply', '--yes'])
    expect(stderr).toContain(reason)
    expect(stderr).toContain('h1')
    expect(code).toBe(1)
    expect(await host.exec('ls -A ~/.ssh; cat ~/.ssh/authorized_keys')).toEqual(before)
    expect(await ana.fleet(['operator', 'rm', 'ben'])).toMatchObject({ code: 0 })
  })

  test('reports that it cannot change the engine settings, and is unchanged', async () => {
    const before = await host.exec('ls -A /etc/docker')
    const text = await ana.inventory()
    await writeFile(
      join(ana.folder, 'machines.yaml'),
      text.replace(/^( *)driver: ssh$/m, '$1driver: ssh\n$1engine: { config: { debug: true } }'),
    )
    const { code, stderr } = await ana.fleet(['provision', 'h1', '--yes'])
    expect(stderr).toContain(reason)
    expect(code).toBe(1)
    expect(await host.exec('ls -A /etc/docker')).toEqual(before)
    expect(await ana.fleet(['ps', '-m', 'h1', '-q'])).toMatchObject({ code: 0, stdout: '' })
  })

  test('reports that a file cannot be copied, and keeps no partial copy', async () => {
    const file = join(ana.home, 'large')
    await writeFile(file, 'x'.repeat(200_000))
    const { code, stderr } = await ana.fleet(['cp', file, 'h1:large'])
    expect(stderr).toContain(reason)
    expect(code).not.toBe(0)
    expect((await host.exec('ls ~')).stdout).not.toContain('large')
  })
})
