import { UserError } from '../../../errors.ts'
import { run } from '../../../transport/run.ts'
import { type HostMirror, parseRecord, restoreFiles } from '../../compose/host-mirror.ts'
import type { Shipped } from '../../compose/plan-shipping.ts'
import type { LocalFiles } from '../../compose/read-local-files.ts'
import { type Host, reasonOf } from '../../copy/remote-tar.ts'

// The directory `objects` of a stack has the contents of copied files, named by digest. From there, a release can be
// restored without the computer that deployed it.

const objectsFolder = ({ folder }: HostMirror): string => `${folder}/objects`

/** Returns the input of the scripts: the digest and the path of each file, each followed by a NUL. */
const wordsOf = (shipped: Shipped): string =>
  [...shipped]
    .flatMap(([path, entry]) => (entry.type === 'file' ? [`${entry.digest}\0${path}\0`] : []))
    .join('')

/** Copies the files below the root that have the given digests. Files with other digests are skipped. */
const save = `
objects=$2
umask 077
mkdir -p -- "$objects" && cd -- "$1" || exit
export objects
xargs -0 -n 200 sh -c '
while [ $# -gt 1 ]; do
  digest=$1 path=$2
  shift 2
  [ -e "$objects/$digest" ] && continue
  [ ! -h "$path" ] && [ -f "$path" ] || continue
  cp -p -- "$path" "$objects/.$digest" || exit 255
  set -- "$(sha256sum <"$objects/.$digest")" "$@"
  if [ "\${1%% *}" = "$digest" ]; then mv -f -- "$objects/.$digest" "$objects/$digest"
  else rm -f -- "$objects/.$digest"; fi
  shift
done
' fleet
`

/** Copies objects to their paths below `files` in the directory of an update. */
const fetch = `
objects=$2
export objects
cd -- "$1" && mkdir -p files && cd files || exit
xargs -0 -n 200 sh -c '
while [ $# -gt 1 ]; do
  case $2 in */*) mkdir -p -- "\${2%/*}" || exit 255 ;; esac
  cp -p -- "$objects/$1" "$2" || exit 255
  shift 2
done
' fleet
`

/** Removes objects that no kept release uses. The input lists the digests to keep, one per line. */
const prune = `
cd -- "$1" 2>/dev/null || exit 0
cat >.kept && for file in [0-9a-f]*; do
  [ -f "$file" ] && ! grep -qxF -- "$file" .kept && rm -f -- "$file"
done
rm -f .kept
`

async function runScript(
  { name: machine, transport, become = [] }: Host,
  script: string,
  { args, input }: { readonly args: readonly string[]; readonly input: string },
): Promise<void> {
  const words = [...become, 'sh', '-c', script, 'fleet', ...args]
  const { code, stderr } = await run(transport, words, { input })
  if (code === 0) return
  throw new UserError('failed', `cannot save release files on ${machine}: ${reasonOf(stderr)}`, {
    machine,
    hint: `check the free space: fleet ssh ${machine} df -h`,
  })
}

/** Saves the content of files that were just copied. */
export async function saveObjects(mirror: HostMirror, shipped: Shipped): Promise<void> {
  const input = wordsOf(shipped)
  if (input === '') return
  await runScript(mirror.host, save, { args: [mirror.root, objectsFolder(mirror)], input })
}

/** Returns the input of {@link makeOthers}: the symbolic links and directories of an update. */
const stageOthers = (items: LocalFiles): string =>
  [...items]
    .flatMap(([path, entry]) => {
      if (entry.type === 'folder') return [`d\0${path}\0${entry.mode.toString(8)}\0`]
      return entry.type === 'link' ? [`l\0${path}\0${entry.target}\0`] : []
    })
    .join('')

const makeOthers = `
cd -- "$1" && mkdir -p files && cd files || exit
xargs -0 -n 300 sh -c '
while [ $# -gt 2 ]; do
  case $2 in */*) mkdir -p -- "\${2%/*}" || exit 255 ;; esac
  if [ "$1" = d ]; then mkdir -p -- "$2" && chmod "$3" -- "$2" || exit 255
  else ln -sfn -- "$3" "$2" || exit 255; fi
  shift 3
done
' fleet
`

/** Restores the files of an earlier release. `files` is its record, as `formatRecord` writes it. */
export async function restoreObjects(mirror: HostMirror, files: string): Promise<void> {
  const { host } = mirror
  await restoreFiles(mirror, parseRecord(files), async (incoming, items) => {
    const others = stageOthers(items)
    if (others !== '') await runScript(host, makeOthers, { args: [incoming], input: others })
    const input = wordsOf(items)
    if (input !== '') {
      await runScript(host, fetch, { args: [incoming, objectsFolder(mirror)], input })
    }
  })
}

/** Removes the contents of files that are not in any of these records. */
export async function pruneObjects(mirror: HostMirror, records: readonly string[]): Promise<void> {
  const kept = records.flatMap((record) =>
    [...parseRecord(record).values()].flatMap((entry) =>
      entry.type === 'file' ? [entry.digest] : [],
    ),
  )
  const input = [...new Set(kept)].map((digest) => `${digest}\n`).join('')
  await runScript(mirror.host, prune, { args: [objectsFolder(mirror)], input })
}
