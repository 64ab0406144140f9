import { UserError } from '../../../errors.ts'
import { stackNamePattern } from '../../../machine/stacks.ts'
import { run } from '../../../transport/run.ts'
import { type Host, reasonOf } from '../../copy/remote-tar.ts'
import { type Releases, parseReleases } from './releases.ts'

/**
 * For each stack, prints its name, the number of the current release, the number and the record of each release, and an
 * empty number. Each value is followed by a NUL.
 */
const list = `
cd -- "$1" 2>/dev/null || exit 0
for folder in [a-z0-9]*; do
  [ -d "$folder/releases" ] || continue
  printf '%s\\0%s\\0' "$folder" "$(readlink "$folder/releases/current" 2>/dev/null)"
  for release in "$folder"/releases/[0-9]*; do
    [ -d "$release" ] || continue
    printf '%s\\0' "\${release##*/}"
    cat -- "$release/release.json" 2>/dev/null
    printf '\\0'
  done
  printf '\\0'
done
`

/**
 * Reads the releases of all stacks on a host, keyed by stack. `parent` contains the directories of the stacks; it may
 * not exist.
 */
export async function readAllReleases(
  host: Host,
  parent: string,
): Promise<ReadonlyMap<string, Releases>> {
  const { name: machine, transport, become = [] } = host
  const words = [...become, 'sh', '-c', list, 'fleet', parent]
  const { code, stdout, stderr } = await run(transport, words)
  if (code !== 0) {
    const why = `cannot read ${parent} on ${machine}: ${reasonOf(stderr)}`
    throw new UserError('failed', why, { machine })
  }
  const found = new Map<string, Releases>()
  const parts = stdout.split('\0')
  for (let at = 0; at + 1 < parts.length;) {
    const [name = '', current = ''] = parts.slice(at, at + 2)
    let end = at + 2
    while (end < parts.length && parts[end] !== '') end += 2
    if (stackNamePattern.test(name))
      found.set(name, parseReleases(current, parts.slice(at + 2, end)))
    at = end + 1
  }
  return found
}
