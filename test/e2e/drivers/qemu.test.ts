import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestFile } from '../../../src/disk-images/verify-checksum.ts'
import { debianBuildTime, debianImage } from '../../support/debian-guest/debian-guest.ts'
import { emulatorsOn } from '../../support/process/emulators.ts'
import { makeBaseRoot } from '../../support/lab/base-image.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { runProgram } from '../../support/lab/process.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Tests the whole life of a virtual machine whose Debian boots like a distribution's image. The machine is emulated,
// and therefore slow.

/** Serves a file on loopback, like a distribution's download page. Resolves to its URL. */
async function serve(file: string) {
  const server = createServer((_request, response) => {
    void stat(file)
      .then(({ size }) => response.writeHead(200, { 'content-length': size }))
      .then(() => pipeline(createReadStream(file), response))
      .catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/debian.qcow2`, close: () => server.close() }
}

describe.skipIf(!labIsHere)('a QEMU virtual machine', () => {
  let image: string
  let ana: TestUser
  beforeAll(async () => {
    image = await debianImage()
    ana = await makeTestUser()
  }, debianBuildTime)
  afterAll(async () => {
    await ana.fleet(['rm', '-y', 'dev'])
    await ana[Symbol.asyncDispose]()
  })

  /** Runs a command that must succeed. Resolves to its output. */
  async function fleet(...words: string[]): Promise<{ stdout: string; stderr: string }> {
    const { code, stdout, stderr } = await ana.fleet(words)
    expect({ words, code, stderr }).toMatchObject({ code: 0 })
    return { stdout, stderr }
  }
  const port = async () => /port: (\d+)/.exec(await ana.inventory())?.[1]

  test('runs containers, is stopped, restored and killed, and leaves nothing behind', async () => {
    const shared = join(ana.home, 'shared')
    await mkdir(shared)
    await writeFile(join(shared, 'question'), 'what?\n')
    const server = await serve(image)
    const signal = new AbortController().signal
    const url = `${server.url}#sha256=${await digestFile(image, 'sha256', signal)}`
    const options = ['--memory', '768', '--disk', '8', '--shares', `code=${shared}`]
    const created = await fleet('create', 'dev', '--driver', 'qemu', '--image', url, ...options)
    server.close()
    expect(created.stderr).toMatch(/dev is ready: Debian.*Docker \d/)
    expect((await fleet('cache', 'ls', '--quiet')).stdout.trim().split('\n')).toHaveLength(1)
    await fleet('cache', 'rm', '--all')

    const root = join(ana.folder, 'root')
    await makeBaseRoot(root)
    await runProgram(['tar', '-C', root, '-cf', `${root}.tar`, '.'])
    await fleet('image', 'import', `${root}.tar`, 'bb:1')
    const script = 'cat /code/question; echo that >/code/answer'
    const ran = await fleet('run', '--rm', '-v', '/mnt/code:/code', 'bb:1', 'sh', '-c', script)
    expect(ran.stdout).toBe('what?\n')
    expect(await readFile(join(shared, 'answer'), 'utf8')).toBe('that\n')
    await fleet('run', '-d', '--name', 'keeper', 'bb:1', 'sleep', '1000000')
    const way = await port()

    const refused = await ana.fleet(['snapshot', 'save', 'dev', 'busy'])
    expect(refused.stderr).toContain(
      'cannot save a snapshot of a running machine while shared directories are mounted',
    )
    await fleet('ssh', 'dev', '--', 'sudo umount /mnt/code')
    await fleet('snapshot', 'save', 'dev', 'busy')
    await fleet('stop', 'dev')
    expect((await ana.fleet(['status'])).stdout).toMatch(/dev.*stopped/)
    // The machine resumes from its saved memory, which takes seconds; booting again would take minutes.
    await fleet('snapshot', 'restore', 'dev', 'busy')
    expect(await port()).toBe(way)
    expect((await fleet('ps')).stdout).toContain('keeper')

    const own = join(ana.env['FLEET_HOME'] ?? '', 'qemu')
    expect(await emulatorsOn(own)).toHaveLength(1)
    await fleet('kill', 'dev')
    expect(await emulatorsOn(own)).toEqual([])
    await fleet('snapshot', 'restore', 'dev', 'busy')
    expect(await emulatorsOn(own)).toHaveLength(1)
    await fleet('rm', '-y', 'dev')
    expect(await emulatorsOn(own)).toEqual([])
    expect(await readdir(join(own, 'hosts'))).toEqual([])
    expect(await readdir(join(own, 'bases'))).toEqual([])
    expect(await ana.inventory()).not.toContain('dev')
  })
})
