import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeKeyPair } from '../../../src/transport/ssh/keys/key-pair.ts'
import { runProgram } from '../../support/lab/process.ts'

const sshKeygen = async (...options: string[]) =>
  (await runProgram(['ssh-keygen', ...options])).trim()

/** How many ssh-keygen run at the same time. */
const lanes = 6

test('ssh-keygen takes every key pair, and finds its public key in the private one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-key-pair-'))
  const check = async (lane: number): Promise<void> => {
    const file = join(folder, `key-${lane}`)
    // One in 256 used to be broken: with so few as 300 the test would miss that in 31 % of its runs.
    for (let made = 0; made < 600 / lanes; made++) {
      const { privateKey, publicKey, fingerprint } = makeKeyPair('fleet web-1')
      await writeFile(file, privateKey, { mode: 0o600 })
      expect(await sshKeygen('-y', '-f', file)).toBe(`${publicKey} fleet web-1`)
      if (made > 0) continue
      expect(await sshKeygen('-l', '-f', file)).toBe(`256 ${fingerprint} fleet web-1 (ED25519)`)
    }
  }
  try {
    await Promise.all(Array.from({ length: lanes }, (_, lane) => check(lane)))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 600_000)
