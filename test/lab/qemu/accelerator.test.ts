import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isUsable } from '../../../src/drivers/qemu/accelerator.ts'
import { guestIsHere } from '../../support/small-guest.ts'

const { signal } = new AbortController()

describe.skipIf(!guestIsHere)('the test of an accelerator', () => {
  afterEach(() => vi.unstubAllEnvs())

  test('runs its firmware to completion', async () => {
    // The check must finish within seconds, which a busy computer may prevent.
    await expect.poll(() => isUsable('tcg', 'amd64', signal)).toBe(true)
  })

  test.each([
    ['that does not start', 'exit 1'],
    ['whose guest hangs', 'exec sleep 60'],
  ])('rejects an accelerator %s', async (_, script) => {
    const folder = await mkdtemp(join(tmpdir(), 'fleet-trial-'))
    const program = join(folder, 'qemu-system-x86_64')
    await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    vi.stubEnv('PATH', `${folder}${delimiter}${process.env['PATH']}`)
    expect(await isUsable('kvm', 'amd64', signal)).toBe(false)
    await rm(folder, { recursive: true })
  })
})
