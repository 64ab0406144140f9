import { readFileSync } from 'node:fs'
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findSources } from '../booted-host/root-folder.ts'
import { cachedFolder } from '../files/cached-folder.ts'
import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

const packages = ['docker.io', 'docker-cli', 'containerd']

/** Downloads packages of Debian unstable. Installs nothing, and does not change apt's lists. */
const script = `
set -eu
cd "$1"
shift
beside="-o Dir::State::Lists=$PWD/lists -o Dir::Etc::SourceList=$PWD/other.list -o Dir::Etc::SourceParts=/dev/null
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none
  -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false"
mkdir -p lists/partial downloads
cd downloads
apt-get $beside update
apt-get $beside download "$@"
`

async function unpack(folder: string): Promise<void> {
  const text = readFileSync(findSources().file, 'utf8')
  const mirror = /^(?:URIs:|deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+)/m.exec(text)?.[1]
  if (mirror === undefined) throw new Error('no mirror in the sources of apt')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  await writeFile(join(folder, 'other.list'), `deb [signed-by=${keys}] ${mirror} sid main\n`)
  await runProgram(outside('sh', '-c', script, 'sh', folder, ...packages))
  const downloads = join(folder, 'downloads')
  await mkdir(join(folder, 'root'))
  for (const file of await readdir(downloads))
    await runProgram(['dpkg-deb', '-x', join(downloads, file), join(folder, 'root')])
  for (const part of ['downloads', 'lists', 'other.list'])
    await rm(join(folder, part), { recursive: true })
}

/**
 * Copies the programs of a newer engine, which runs with the libraries and the runc of this release, over those on a host.
 * `root` is the root folder of the host; its engine must not be running.
 */
export async function installNewerEngine(root: string): Promise<void> {
  const folder = join(await cachedFolder('newer-engine', [packages, script], unpack), 'root')
  for (const part of ['usr/bin', 'usr/sbin']) {
    for (const name of await readdir(join(folder, part)).catch(() => [])) {
      await rm(join(root, part, name), { force: true })
      await cp(join(folder, part, name), join(root, part, name))
    }
  }
}
