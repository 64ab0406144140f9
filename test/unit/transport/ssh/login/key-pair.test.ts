import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type KeyPair, makeKeyPair } from '../../../../../src/transport/ssh/login/key-pair.ts'
import { runProgram } from '../../../../support/lab/process.ts'

const sshKeygen = async (...options: string[]) =>
  (await runProgram(['ssh-keygen', ...options])).trim()

/** Number of ssh-keygen processes that run concurrently. */
const lanes = 6

test('ssh-keygen accepts every generated key pair, and derives the same public key from its private key', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-key-pair-'))
  const check = async (lane: number): Promise<void> => {
    const file = join(folder, `key-${lane}`)
    for (let made = 0; made < 60 / lanes; made++) {
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
})

/**
 * Returns whether the private key's PEM contains the public key of 51 bytes twice, followed by the private key of 64
 * bytes (PROTOCOL.key).
 */
function isWhole({ privateKey, publicKey }: KeyPair): boolean {
  const pem = Buffer.from(privateKey.replaceAll(/-----.*-----|\n/g, ''), 'base64')
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
  const second = pem.indexOf(blob, pem.indexOf(blob) + blob.length)
  const secret = second + blob.length
  const end = pem.subarray(secret + 4 + 32, secret + 4 + 64)
  return (
    blob.length === 51 &&
    second > blob.length &&
    pem.readUInt32BE(secret) === 64 &&
    end.equals(blob.subarray(-32))
  )
}

test('generated keys keep a leading zero byte', () => {
  // Without this byte, one key in 256 would be too short; a test of only 300 keys would miss that in 31% of its runs.
  const keys = Array.from({ length: 2000 }, () => makeKeyPair('fleet web-1'))
  expect(keys.filter((key) => !isWhole(key))).toEqual([])
})
