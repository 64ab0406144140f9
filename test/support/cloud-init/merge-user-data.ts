import { join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

const packages =
  `cloud-init python3-attr python3-certifi python3-chardet python3-charset-normalizer python3-configobj python3-idna
python3-jinja2 python3-json-pointer python3-jsonpatch python3-jsonschema python3-markupsafe python3-oauthlib python3-pyrsistent
python3-requests python3-six python3-urllib3 python3-yaml`.split(/\s+/)

/** A script that downloads and unpacks packages, without installing them. */
const script = `
set -eu
cd "$1"
shift
apt-get download "$@" || { apt-get update && apt-get download "$@"; }
for file in *.deb; do dpkg-deb -x "$file" root; done
rm ./*.deb
`

/** The result of cloud-init's processing of user-data. */
export interface Merged {
  /** The merged cloud-config of all parts. */
  readonly settings: Readonly<Record<string, unknown>>
  /** The accounts to create, keyed by name; `debian` is the image's default account. */
  readonly users: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly scripts: readonly string[]
}

/** Parses and merges each item of user-data with Debian's cloud-init, without a host. */
export async function mergeUserData(
  all: readonly (string | Uint8Array)[],
): Promise<readonly Merged[]> {
  const folder = await cachedFolder('cloud-init', [script, packages], async (empty) => {
    await runProgram(outside('sh', '-c', script, 'sh', empty, ...packages))
  })
  const modules = `PYTHONPATH=${join(folder, 'root/usr/lib/python3/dist-packages')}`
  const program = join(import.meta.dirname, 'merge.py')
  const input = JSON.stringify(all.map((one) => Buffer.from(one).toString('base64')))
  return JSON.parse(
    await runProgram(['env', modules, '/usr/bin/python3', program], input),
  ) as Merged[]
}
