import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cachedFolder } from '../files/cached-folder.ts'
import { unpackPackages } from '../files/unpack-packages.ts'

const packages = { ofThisRelease: ['libssl-dev'] } as const

/**
 * Compiles a software security key in `folder`. Resolves to the path of the library, for SecurityKeyProvider in
 * ssh_config(5).
 */
export async function buildSecurityKey(folder: string): Promise<string> {
  const unpacked = await cachedFolder('libssl', packages, (place) =>
    unpackPackages(place, packages),
  )
  const headers = join(unpacked, 'root/usr/include')
  const ofProcessor = (await readdir(headers)).filter((name) => name.endsWith('-linux-gnu'))
  const library = join(folder, 'security-key.so')
  await promisify(execFile)('gcc', [
    ...['-shared', '-fPIC', '-O1', '-o', library],
    ...['', ...ofProcessor].map((name) => `-I${join(headers, name)}`),
    ...[join(import.meta.dirname, 'security-key.c'), '-l:libcrypto.so.3'],
  ])
  return library
}
