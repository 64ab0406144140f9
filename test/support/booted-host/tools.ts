import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

/** Packages that are unpacked, not installed, to leave this computer's systemd unchanged. */
const packages = ['systemd-container', 'slirp4netns', 'libslirp0']

async function unpackTools(folder: string): Promise<void> {
  const downloads = join(folder, 'downloads')
  await mkdir(downloads)
  await runProgram(
    outside('sh', '-c', 'cd "$1" && shift && apt-get download "$@"', 'sh', downloads, ...packages),
  )
  for (const file of await readdir(downloads))
    await runProgram(['dpkg-deb', '-x', join(downloads, file), folder])
}

/** The path of systemd-nspawn, and the command that runs slirp4netns with its library. */
interface Tools {
  readonly nspawn: string
  readonly slirp: readonly string[]
}

/** Locates the tools, which are downloaded on first use. */
export async function findTools(): Promise<Tools> {
  const folder = await cachedFolder('booted-tools', packages, unpackTools)
  const system = (await readdir(join(folder, 'usr/lib'))).find((name) =>
    name.endsWith('-linux-gnu'),
  )
  const library = join(folder, 'usr/lib', system ?? '')
  return {
    nspawn: join(folder, 'usr/bin/systemd-nspawn'),
    slirp: ['env', `LD_LIBRARY_PATH=${library}`, join(folder, 'usr/bin/slirp4netns')],
  }
}

/** Installs packages on this computer unless they are all installed. */
export async function ensurePackages(...names: readonly string[]): Promise<void> {
  const states = ['dpkg-query', '--show', '--showformat=${db:Status-Abbrev}\n', ...names] as const
  const isInstalled = await runProgram(states).then(
    (told) => told.split('\n').filter((line) => line.startsWith('ii')).length === names.length,
    () => false,
  )
  if (isInstalled) return
  const apt = 'apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends'.split(' ')
  await runProgram(outside('env', 'DEBIAN_FRONTEND=noninteractive', ...apt, ...names))
}
