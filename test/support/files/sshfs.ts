import { join } from 'node:path'
import { cachedFolder } from './cached-folder.ts'
import { unpackPackages } from './unpack-packages.ts'

const packages = {
  release: 'bookworm',
  ofRelease: ['sshfs', 'fuse3', 'libfuse3-3', 'libglib2.0-0'],
} as const

const libraries = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'

/** Resolves to an environment with sshfs and fusermount3 in PATH, although they are not installed on this computer. */
export async function sshfsEnvironment(): Promise<{ PATH: string; LD_LIBRARY_PATH: string }> {
  const folder = await cachedFolder('sshfs', packages, (place) => unpackPackages(place, packages))
  const below = (...folders: string[]) =>
    folders.map((name) => join(folder, 'root', name)).join(':')
  return {
    PATH: `${below('usr/bin', 'bin')}:${process.env['PATH']}`,
    LD_LIBRARY_PATH: below(`usr/lib/${libraries}`, `lib/${libraries}`),
  }
}
