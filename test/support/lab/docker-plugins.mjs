import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Directories in which Debian and Docker install docker's plugins. */
const systemPlaces = ['/usr/libexec', '/usr/lib', '/usr/local/lib'].map(
  (folder) => `${folder}/docker/cli-plugins`,
)

/**
 * A script that unpacks packages of a Debian suite without installing them (arguments: directory, suite, packages). It
 * uses separate apt lists, because Debian 12 has no packages of docker plugins.
 */
const unpackScript = `
set -eu
folder=$1 suite=$2
shift 2
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
  sed -n "s/ $VERSION_CODENAME\\$//p" | head -n 1)
echo "deb $mirror $suite main" >"$folder/sources.list"
apt="apt-get -qq -o Dir::State::Lists=$folder/lists -o Dir::Cache=$folder/cache
  -o Dir::Etc::SourceList=$folder/sources.list -o Dir::Etc::SourceParts=/dev/null
  -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root"
$apt update
cd "$folder"
$apt download "$@"
for package in *.deb; do dpkg-deb -x "$package" "$folder/new"; done
mv "$folder/new" "$folder/root"
`

const inFolder = (/** @type {string} */ place) => join(place, 'root', systemPlaces[0] ?? '')

const names = /** @type {const} */ (['docker-compose', 'docker-buildx'])

/** Unpacks packages into a directory. Prints an error if that fails. */
function unpack(
  /** @type {string} */ folder,
  /** @type {string} */ suite,
  /** @type {readonly string[]} */ packages,
) {
  const words = ['-c', unpackScript, 'sh', folder, suite, ...packages]
  const { status, stderr } = spawnSync('sh', words, { encoding: 'utf8' })
  if (status !== 0) console.error(`No plugins of docker can be had here: ${stderr.trim()}`)
}

/**
 * Returns the files of docker's plugins, and fetches those that this computer does not have. `docker-compose-new` is
 * the newest compose in Debian unstable.
 * @returns {Readonly<Partial<Record<'docker-compose' | 'docker-buildx' | 'docker-compose-new', string>>>} the
 * available plugins
 */
export function prepareDockerPlugins() {
  const folder = join(tmpdir(), 'fleet-docker-plugins')
  const newer = join(tmpdir(), 'fleet-docker-plugins-new')
  const find = () =>
    Object.fromEntries(
      names.flatMap((name) => {
        const places = [...systemPlaces, inFolder(folder)]
        const file = places.map((place) => join(place, name)).find(existsSync)
        return file === undefined ? [] : [[name, file]]
      }),
    )
  if (Object.keys(find()).length < names.length) unpack(folder, 'trixie', names)
  const newest = join(inFolder(newer), 'docker-compose')
  if (!existsSync(newest)) unpack(newer, 'sid', ['docker-compose'])
  return { ...find(), ...(existsSync(newest) && { 'docker-compose-new': newest }) }
}
