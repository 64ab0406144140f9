import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { bundleProgram } from '../../../support/process/bundle-program.ts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CreationSecrets, openCreations } from '../../../../src/state/home/creations.ts'
import { openKeys } from '../../../../src/state/home/keys.ts'
import { makeGate } from '../../../support/deferred.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-creations-'))
})
afterEach(() => rm(folder, { recursive: true }))

const secrets: CreationSecrets = {
  publicKey: 'ssh-ed25519 AAAA',
  fingerprint: `SHA256:${'a'.repeat(43)}`,
  hostKey: 'ssh-ed25519 BBBB',
  userData: Uint8Array.from([0x1f, 0x8b, 0, 255]),
}

describe('secrets of a creation', () => {
  it('are kept byte for byte until they are dropped, and readable by their owner only', async () => {
    const creations = openCreations(join(folder, 'home'))
    expect(await creations.find('t1')).toBeUndefined()
    await creations.save('t1', secrets)
    const found = await openCreations(join(folder, 'home')).find('t1')
    expect({ ...found, userData: new Uint8Array(found?.userData ?? []) }).toEqual(secrets)
    const [file = ''] = await readdir(join(folder, 'home/creations'))
    expect((await stat(join(folder, 'home/creations', file))).mode & 0o777).toBe(0o600)
    await creations.drop('t1')
    await creations.drop('t1')
    expect(await readdir(join(folder, 'home/creations'))).toEqual([])
  })
})

const idle = async () => {}

describe('locking a host', () => {
  const locked = { kind: 'locked', machine: 'web-1' }

  it('excludes others until the work is done, and does not affect other hosts', async () => {
    const [mine, theirs] = [openCreations(folder), openCreations(folder)]
    await mine.withLock('t1', 'web-1', async () => {
      await expect(theirs.withLock('t1', 'web-1', idle)).rejects.toMatchObject(locked)
      await theirs.withLock('t2', 'web-2', idle)
    })
    expect(await theirs.withLock('t1', 'web-1', async () => 'done')).toBe('done')
  })

  it('ends with work that fails', async () => {
    const failing = openCreations(folder).withLock('t1', 'web-1', () =>
      Promise.reject(new Error('no')),
    )
    await expect(failing).rejects.toThrow('no')
    await openCreations(folder).withLock('t1', 'web-1', idle)
  })

  it('succeeds for only one of many simultaneous callers', async () => {
    const gate = makeGate()
    let given = 0
    const asked = Array.from({ length: 20 }, () =>
      openCreations(folder).withLock('t1', 'web-1', () => {
        given += 1
        return gate.promise
      }),
    )
    const refused = asked.map((one) => one.then(() => false).catch(() => true))
    await expect.poll(() => given).toBe(1)
    await expect(openCreations(folder).withLock('t1', 'web-1', idle)).rejects.toMatchObject(locked)
    gate.resolve()
    expect((await Promise.all(refused)).filter((is) => !is)).toHaveLength(given)
  })

  it('ends when its process is killed, and the next holder removes the stale socket', async () => {
    const program = join(folder, 'holder.mjs')
    await bundleProgram(
      new URL('../../../support/crash/creation-holder.ts', import.meta.url),
      program,
    )
    const child = spawn(execPath, [program, folder, 't1'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await expect(openCreations(folder).withLock('t1', 'web-1', idle)).rejects.toMatchObject(locked)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const sockets = async () =>
      (await readdir(join(folder, 'creations'))).filter((name) => name.endsWith('.sock'))
    expect(await sockets()).toHaveLength(1)
    await openCreations(folder).withLock('t2', 'web-2', async () => {
      expect(await sockets()).toHaveLength(1)
      await openCreations(folder).withLock('t1', 'web-1', idle)
    })
    expect(await sockets()).toEqual([])
  })

  it('works in a home directory whose path is too long for a socket', async () => {
    const home = join(folder, 'long'.repeat(30))
    await openCreations(home).withLock('t1', 'web-1', async () => {
      await expect(openCreations(home).withLock('t1', 'web-1', idle)).rejects.toMatchObject(locked)
    })
  })
})

describe('a key that fleet created', () => {
  const { fingerprint } = secrets
  it('is readable by its owner only, and deleted when it is forgotten', async () => {
    const keys = openKeys(folder)
    await keys.keep(fingerprint, 'private')
    const file = (await keys.find(fingerprint)) ?? ''
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await writeFile(`${file}.0123456789ab.tmp`, 'private') // left by a process that was killed while writing
    await keys.remember(fingerprint, file) // as if the user had named it as their own key
    expect(await readFile(file, 'utf8')).toBe('private')
    await keys.forget(fingerprint)
    expect(await readdir(join(folder, 'keys'))).toEqual([])
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
    await keys.forget(fingerprint)
  })
})
