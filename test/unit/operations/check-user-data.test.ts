import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openFleet } from '../../../src/app/fleet.ts'
import { checkShared } from '../../../src/operations/inventory/check-shared-inventory.ts'
import { pipeIo } from '../../support/fake-io.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-user-data-'))
  await mkdir(join(folder, 'inventory', 'cloud'), { recursive: true })
  await writeFile(
    join(folder, 'inventory', 'machines.yaml'),
    `version: 1\nid: deadbeef\nprofiles:\n  web: { driver: qemu, userData: cloud/web.yaml }\nmachines:\n  web-1: { extends: web }\n`,
  )
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const file = (): string => join(folder, 'inventory', 'cloud', 'web.yaml')
const git = (...words: string[]) =>
  promisify(execFile)('git', words, { cwd: join(folder, 'inventory') })

async function check(staged = false): Promise<number> {
  const { io } = pipeIo({ env: { ...process.env, FLEET_HOME: join(folder, 'home') } })
  await using fleet = openFleet({ ...io, cwd: join(folder, 'inventory') }, undefined)
  return (await checkShared(fleet, { staged })).machines
}

const token = `ghp_${'a1B2'.repeat(9)}`

describe('user-data files named by an inventory', () => {
  test('are searched for secrets, which are reported by file, line and kind', async () => {
    await writeFile(file(), `#cloud-config\nruncmd:\n  - export T=${token}\n`)
    await expect(check()).rejects.toMatchObject({
      kind: 'inventory',
      message: 'cloud/web.yaml:3:14: a GitHub token must not be in this file',
    })
    await writeFile(file(), gzipSync(`#!/bin/sh\necho ${token}\n`))
    await expect(check()).rejects.toThrow('cloud/web.yaml:2:6: a GitHub token')
  })

  test('are accepted if the line of a secret is marked as allowed', async () => {
    await writeFile(file(), `#cloud-config\nruncmd: [echo ${token}] # gitleaks:allow\n`)
    expect(await check()).toBe(1)
  })

  test('are searched as staged in git, since that is what would be committed', async () => {
    await git('init', '-q')
    await git('add', 'machines.yaml')
    await writeFile(file(), `#!/bin/sh\necho ${token}\n`)
    expect(await check(true)).toBe(1)
    await git('add', '.')
    await writeFile(file(), '#!/bin/sh\n')
    await expect(check(true)).rejects.toThrow('cloud/web.yaml:2:6: a GitHub token')
  })

  test('must exist in the directory of the inventory', async () => {
    await expect(check()).rejects.toThrow(
      /cannot read the user-data file cloud\/web.yaml: no such file/,
    )
    await writeFile(join(folder, 'deploy'), '#!/bin/sh\n')
    await symlink(join(folder, 'deploy'), file())
    await expect(check()).rejects.toThrow(/cloud\/web.yaml is a link to .*deploy, which is outside/)
    await rm(file())
    await writeFile(join(folder, 'inventory', 'deploy'), '#!/bin/sh\n')
    await symlink(join('..', 'deploy'), file())
    expect(await check()).toBe(1)
  })
})
