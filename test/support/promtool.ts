import { join } from 'node:path'
import { cachedFolder } from './files/cached-folder.ts'
import { outside } from './lab/outside.ts'
import { runProgram } from './lab/process.ts'

/** A script that downloads and unpacks the package, without installing it. */
const script = `
set -eu
cd "$1"
apt-get download prometheus || { apt-get update && apt-get download prometheus; }
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
rm prometheus_*.deb
`

/** Resolves to the path of Prometheus's promtool (Debian package), downloaded on first use and then cached. */
export async function findPromtool(): Promise<string> {
  const folder = await cachedFolder('promtool', script, async (empty) => {
    await runProgram(outside('sh', '-c', script, 'sh', empty))
  })
  return join(folder, 'usr/bin/promtool')
}
