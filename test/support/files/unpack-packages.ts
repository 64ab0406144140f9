import { readFileSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findSources } from '../booted-host/root-folder.ts'
import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

/**
 * A script that downloads packages: those before `--` from another release, and those after it from this release. It
 * does not change apt's lists.
 */
const script = `
set -eu
cd "$1"
shift
beside="-o Dir::State::Lists=$PWD/lists -o Dir::Etc::SourceList=$PWD/other.list -o Dir::Etc::SourceParts=/dev/null
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none
  -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false"
mkdir -p lists/partial downloads
cd downloads
[ "$1" = -- ] || apt-get $beside update
while [ "$1" != -- ]; do
  apt-get $beside download "$1"
  shift
done
shift
[ $# = 0 ] || apt-get download "$@" || { apt-get update && apt-get download "$@"; }
`

/** Names of Debian packages. */
export interface DebianPackages {
  /** A release other than this computer's. */
  readonly release?: string
  readonly ofRelease?: readonly string[]
  /** Packages of this computer's release. */
  readonly ofThisRelease?: readonly string[]
}

/** Returns the sources.list(5) line for a release at this computer's mirror. */
function sourceOf(release: string): string {
  const text = readFileSync(findSources().file, 'utf8')
  const mirror = /^(?:URIs:|deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+)/m.exec(text)?.[1]
  if (mirror === undefined) throw new Error('no mirror in the sources of apt')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  return `deb [signed-by=${keys}] ${mirror} ${release} main\n`
}

/** Downloads packages and unpacks them into `FOLDER/root`. Installs nothing. */
export async function unpackPackages(
  folder: string,
  { release, ofRelease = [], ofThisRelease = [] }: DebianPackages,
): Promise<void> {
  await writeFile(join(folder, 'other.list'), release === undefined ? '' : sourceOf(release))
  const names = [...ofRelease, '--', ...ofThisRelease]
  await runProgram(outside('sh', '-c', script, 'sh', folder, ...names))
  const [downloads, root] = [join(folder, 'downloads'), join(folder, 'root')]
  await mkdir(root)
  for (const file of await readdir(downloads))
    await runProgram(['dpkg-deb', '-x', join(downloads, file), root])
  for (const part of ['downloads', 'lists', 'other.list'])
    await rm(join(folder, part), { recursive: true })
}
