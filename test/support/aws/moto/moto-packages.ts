import { readFileSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findSources } from '../../booted-host/root-folder.ts'
import { cachedFolder } from '../../files/cached-folder.ts'
import { outside } from '../../lab/outside.ts'
import { runProgram } from '../../lab/process.ts'

/**
 * Packages that python3-moto's EC2 part needs in this machine's release; the package's own list has
 * too few (flask-cors) and too many.
 */
const dependencies =
  `boto3 botocore jmespath s3transfer cryptography cffi-backend dateutil six flask itsdangerous
 click colorama jinja2 markupsafe requests urllib3 idna chardet charset-normalizer certifi responses toml werkzeug
 xmltodict antlr4 flask-cors yaml`
    .split(/\s+/)
    .map((name) => `python3-${name}`)

/**
 * The release whose python3-moto is used: earlier ones have none, or one without newer calls of
 * EC2.
 */
const release = 'trixie'

/** Downloads and unpacks packages. Installs nothing, and does not change apt's lists. */
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
apt-get $beside download python3-moto
apt-get download "$@" || { apt-get update && apt-get download "$@"; }
`

/** The line of sources.list(5) for `release` at this machine's mirror. */
function otherSource(): string {
  const text = readFileSync(findSources().file, 'utf8')
  const mirror = /^(?:URIs:|deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+)/m.exec(text)?.[1]
  if (mirror === undefined) throw new Error('no mirror in the sources of apt')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  return `deb [signed-by=${keys}] ${mirror} ${release} main\n`
}

async function unpack(folder: string): Promise<void> {
  await writeFile(join(folder, 'other.list'), otherSource())
  await runProgram(outside('sh', '-c', script, 'sh', folder, ...dependencies))
  const downloads = join(folder, 'downloads')
  const root = join(folder, 'root')
  await mkdir(root)
  for (const file of await readdir(downloads))
    await runProgram(['dpkg-deb', '-x', join(downloads, file), root])
  for (const part of ['downloads', 'lists', 'other.list'])
    await rm(join(folder, part), { recursive: true })
}

/**
 * Locates moto: Debian packages that are fetched at the first use (about 10 s, 120 MB) and kept
 * between runs.
 */
export async function findMoto(): Promise<{ readonly server: string; readonly path: string }> {
  const folder = await cachedFolder('moto', [dependencies, release, script], unpack)
  return {
    server: join(folder, 'root/usr/bin/moto_server'),
    path: join(folder, 'root/usr/lib/python3/dist-packages'),
  }
}
