import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { shellQuote } from '../../../src/os/shell-quote.ts'
import { sshfsEnvironment } from '../../support/files/sshfs.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const mountinfo = () => readFile('/proc/self/mountinfo', 'utf8')

describe.skipIf(!labIsHere || !existsSync('/dev/fuse'))('mounting directories', () => {
  let lab: Lab
  let web: LabHost
  let ana: TestUser
  let env: Readonly<Record<string, string>>

  beforeAll(async () => {
    ;[lab, env] = await Promise.all([startLab({ hosts: 2 }), sshfsEnvironment()])
    web = hostOf(lab)
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const [, inner] = lab.hosts
    const adopt = (...words: string[]) =>
      ana.fleet(['adopt', ...words, '--accept-new', '--no-engine'])
    expect(await adopt(`root@${web.address}`, '--name', 'web-1')).toMatchObject({ code: 0 })
    const viaWeb = await adopt(`root@${inner?.address}`, '--name', 'db-1', '--via', 'web-1')
    expect(viaWeb).toMatchObject({ code: 0 })
    await web.exec('echo "echo welcome to this host" >> /root/.bashrc')
  })
  afterAll(async () => {
    for (const name of await readdir(ana.folder)) await fleet('mount', '-u', name)
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  const fleet = (...words: string[]) => ana.fleet(words, { env })
  /** Creates an empty directory in the inventory directory. */
  const newDirectory = async (name: string) => {
    const path = join(ana.folder, name)
    await mkdir(path)
    return path
  }

  test('allows reading, writing and renaming files with any name, until they are unmounted', async () => {
    const [name, remote] = ['it\'s a, \\ "dir" ü', '/srv/a, b \\ \'c\' "d" $HOME é']
    const here = await newDirectory(name)
    const bytes = randomBytes(3_000_000)
    await web.exec(`mkdir -p ${shellQuote(remote)}`)
    expect(await fleet('mount', `web-1:${remote}`, name)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        `mounted web-1:${remote} on ${here}; to unmount it: fleet mount -u `,
      ),
    })
    await writeFile(join(here, 'new'), bytes)
    await rename(join(here, 'new'), join(here, 'ü'))
    expect(digest(await readFile(join(here, 'ü')))).toBe(digest(bytes))
    const there = await web.exec('cd /srv/a* && stat -c "%n %s" *')
    expect(there.stdout.trim()).toBe('ü 3000000')
    expect(await mountinfo()).toMatch(/ rw,nosuid,nodev,\S* .*- fuse\.sshfs web-1:/)

    const again = await fleet('mount', 'web-1', name)
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is already mounted') })

    const inUse = await open(join(here, 'ü'))
    const busy = await fleet('mount', '-u', name)
    await inUse.close()
    expect(busy).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot unmount .*busy/) })

    expect(await fleet('mount', '-u', name)).toMatchObject({ code: 0 })
    expect(await readdir(here)).toEqual([])
    await vi.waitFor(async () => {
      expect((await web.exec('pgrep -x sftp-server || true')).stdout).toBe('')
    }, 60_000)
    expect(await fleet('mount', '-u', name)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not mounted with sshfs'),
    })
  })

  test('survives the end of the broker and a lost connection', async () => {
    const here = await newDirectory('srv')
    await web.exec('mkdir -p /srv/data && echo one > /srv/data/file')
    const mounted = await fleet('mount', 'web-1:/srv/data', 'srv')
    expect(mounted).toMatchObject({ code: 0 })
    await ana.fleet(['broker', 'stop'])
    expect(await readFile(join(here, 'file'), 'utf8')).toBe('one\n')

    await web.exec('pkill -x sftp-server; echo two > /srv/data/other')
    await vi.waitFor(
      async () => expect(await readFile(join(here, 'other'), 'utf8')).toBe('two\n'),
      { timeout: 60_000, interval: 200 },
    )
    expect(await fleet('mount', '-u', here)).toMatchObject({ code: 0 })
  })

  test('works for a machine behind a jump host', async () => {
    const here = await newDirectory('home')
    expect(await fleet('mount', 'db-1', 'home')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/mounted db-1:\/\S+ on/),
    })
    expect(await readdir(here)).toContain('.ssh')
    expect(await fleet('mount', '-u', 'home')).toMatchObject({ code: 0 })
  })

  test('is refused with a hint if it is impossible', async () => {
    await newDirectory('empty')
    const refused = async (
      words: readonly string[],
      expected: RegExp,
      path = env['PATH'] ?? '',
    ) => {
      const { code, stderr } = await ana.fleet(['mount', ...words], { env: { ...env, PATH: path } })
      expect({ code, stderr }).toEqual({
        code: expect.any(Number),
        stderr: expect.stringMatching(expected),
      })
      expect(code).toBeGreaterThan(0)
    }
    await refused(['web-1', '.'], /is not empty/)
    await refused(['web-1', 'machines.yaml'], /is not a directory/)
    await refused(['web-1', 'missing'], /does not exist\n.*mkdir/)
    await refused(['web-1:/missing', 'empty'], /web-1: the directory \/missing does not exist/)
    await refused(['web-1:/etc/passwd', 'empty'], /web-1: the directory .* does not exist/)
    await refused(['web-1', 'empty'], /cannot find sshfs.*\n.*install/, ana.nodeOnly)
    const fake = await newDirectory('bin')
    const script = '#!/bin/sh\necho "read: Connection reset by peer" >&2\nexit 1\n'
    await writeFile(join(fake, 'sshfs'), script, { mode: 0o755 })
    const closed = /web-1: sshfs cannot mount web-1:\S+ on \S+: read: .*reset by peer\n.*ssh-add/
    await refused(['web-1', 'empty'], closed, `${fake}:${env['PATH']}`)
    await web.exec('mv /usr/lib/openssh/sftp-server /usr/lib/openssh/away')
    await refused(['web-1', 'empty'], /web-1: the host has no SFTP server\n.*install/)
    await web.exec('mv /usr/lib/openssh/away /usr/lib/openssh/sftp-server')
    expect(await mountinfo()).not.toContain('sshfs')
  })
})
