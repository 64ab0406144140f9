import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { unpackPackages } from '../files/unpack-packages.ts'

const packages = { release: 'sid', ofRelease: ['docker.io', 'docker-cli', 'containerd'] } as const

/** Resolves to a directory with the programs of a newer engine in `usr/bin` and `usr/sbin`. */
export async function newerEngine(): Promise<string> {
  const unpacked = await cachedFolder('newer-engine', packages, (place) =>
    unpackPackages(place, packages),
  )
  return join(unpacked, 'root')
}

/**
 * Replaces the engine's programs on a host with those of a newer engine, which works with the libraries and the runc of
 * this release. `root` is the root directory of the host, whose engine must not be running.
 */
export async function installNewerEngine(root: string): Promise<void> {
  const folder = await newerEngine()
  for (const part of ['usr/bin', 'usr/sbin']) {
    for (const name of await readdir(join(folder, part)).catch(() => [])) {
      await rm(join(root, part, name), { force: true })
      await cp(join(folder, part, name), join(root, part, name))
    }
  }
}
