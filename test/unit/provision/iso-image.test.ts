import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeNoCloudSeed } from '../../../src/provision/cloud-init/no-cloud.ts'

const run = promisify(execFile)
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-iso-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe.skipIf(process.platform !== 'linux')('the NoCloud seed image', () => {
  test('has a type and a label that blkid recognizes', async () => {
    const file = join(folder, 'seed.iso')
    const userData = Buffer.from(`#cloud-config\n${'x'.repeat(5000)}\n`)
    const seed = { instanceId: 't-1', hostName: 'web', userData, macAddresses: ['52:54:00:0:0:1'] }
    await writeFile(file, writeNoCloudSeed(seed))
    const { stdout } = await run('blkid', ['-p', '-o', 'export', file])
    expect(stdout).toMatch(/^LABEL=cidata$/m)
    expect(stdout).toMatch(/^TYPE=iso9660$/m)
  })

  test('contains the given files, each starting at a sector boundary', () => {
    const userData = Buffer.from('#cloud-config\n')
    const image = writeNoCloudSeed({ instanceId: 't-1', hostName: 'web', userData })
    expect(image.length % 2048).toBe(0)
    const at = image.indexOf('#cloud-config\n')
    expect(at % 2048).toBe(0)
    expect(image.includes('instance-id: t-1\nlocal-hostname: web\n')).toBe(true)
    expect(image.includes('network-config')).toBe(false)
  })
})
