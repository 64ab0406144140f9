import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Debian and Docker put docker's plugins. */
const systemPlaces = ['/usr/libexec', '/usr/lib', '/usr/local/lib'].map(
  (folder) => `${folder}/docker/cli-plugins`,
)

/**
 * Unpacks packages of Debian 13, with apt lists of its own: Debian 12 has no plugins of docker, and nothing is
 * installed.
 */
const unpackScript = `
set -eu
folder=$1
shift
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
  sed -n "s/ $VERSION_CODENAME\\$//p" | head -n 1)
echo "deb $mirror trixie main" >"$folder/sources.list"
apt="apt-get -qq -o Dir::State::Lists=$folder/lists -o Dir::Cache=$folder/cache
  -o Dir::Etc::SourceList=$folder/sources.list -o Dir::Etc::SourceParts=/dev/null
  -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root"
$apt update
cd "$folder"
$apt download "$@"
for package in *.deb; do dpkg-deb -x "$package" "$folder/new"; done
mv "$folder/new" "$folder/root"
`

const names = /** @type {const} */ (['docker-compose', 'docker-buildx'])

/**
 * The files of docker's plugins, for whoever is to have them. They are fetched where this machine lacks one.
 * @returns {Readonly<Partial<Record<'docker-compose' | 'docker-buildx', string>>>} without those that cannot be had
 */
export function prepareDockerPlugins() {
  const folder = join(tmpdir(), 'fleet-docker-plugins')
  const fetched = join(folder, 'root', systemPlaces[0] ?? '')
  const find = () =>
    Object.fromEntries(
      names.flatMap((name) => {
        const file = [...systemPlaces, fetched].map((place) => join(place, name)).find(existsSync)
        return file === undefined ? [] : [[name, file]]
      }),
    )
  if (Object.keys(find()).length < names.length) {
    const words = ['-c', unpackScript, 'sh', folder, ...names]
    const { status, stderr } = spawnSync('sh', words, { encoding: 'utf8' })
    if (status !== 0) console.error(`No plugins of docker can be had here: ${stderr.trim()}`)
  }
  return find()
}
