import { cachedFolder } from '../files/cached-folder.ts'
import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

/** A script that downloads the npm package of a Node.js release, and keeps only the program. */
const script = `
set -eu
cd "$1"
npm pack --silent "node-linux-$2@$3" >/dev/null
tar -xzf ./*.tgz --strip-components=2 package/bin/node
rm ./*.tgz
`

/** Resolves to a directory with `node` of a major release, downloaded on first use (3 s, 50 MB) and then cached. */
export function findNode(major: number): Promise<string> {
  return cachedFolder('node', [major, process.arch, script], async (folder) => {
    await runProgram(outside('sh', '-c', script, 'sh', folder, process.arch, String(major)))
  })
}
