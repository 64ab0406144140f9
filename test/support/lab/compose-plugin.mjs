import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Debian and Docker put docker's plugins. */
const systemPlaces = ['/usr/libexec', '/usr/lib', '/usr/local/lib'].map(
  (folder) => `${folder}/docker/cli-plugins/docker-compose`,
)

/**
 * Unpacks Debian 13's docker-compose, with apt lists of its own: Debian 12 has none that is a
 * plugin, and nothing is installed.
 */
const unpackScript = `
set -eu
folder=$1
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
$apt download docker-compose
dpkg-deb -x docker-compose_*.deb "$folder/new"
mv "$folder/new" "$folder/root"
`

/**
 * The file of docker's compose plugin, for hosts that are to have one. It is fetched where this
 * machine has none.
 * @returns {string | undefined} nothing where it cannot be had
 */
export function prepareComposePlugin() {
  const installed = systemPlaces.find((place) => existsSync(place))
  if (installed !== undefined) return installed
  const folder = join(tmpdir(), 'fleet-compose-plugin')
  const fetched = join(folder, 'root', systemPlaces[0] ?? '')
  if (existsSync(fetched)) return fetched
  const { status, stderr } = spawnSync('sh', ['-c', unpackScript, 'sh', folder], {
    encoding: 'utf8',
  })
  if (status === 0 && existsSync(fetched)) return fetched
  console.error(`No compose plugin can be had here: ${stderr.trim()}`)
  return undefined
}
