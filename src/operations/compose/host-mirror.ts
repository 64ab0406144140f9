import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { UserError, fileProblemOf } from '../../errors.ts'
import { quoteForHost, shellQuote } from '../../os/shell-quote.ts'
import { run } from '../../transport/run.ts'
import { encodeHeader, endOfArchive, padding, toByteString } from '../copy/archive/tar-format.ts'
import { type Host, commandOn } from '../copy/remote-tar.ts'
import { unpackOnHost } from '../copy/unpack-on-host.ts'
import {
  type HostEntry,
  type Shipped,
  type ShippingPlan,
  isSame,
  planShipping,
} from './plan-shipping.ts'
import type { Entry, LocalFiles } from './read-local-files.ts'
import type { Root } from './rooted-paths.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** A directory on a host with copies of local files below `root`. */
export interface HostMirror {
  readonly host: Host
  /** The directory that contains `root` and the record of the copied files. */
  readonly folder: string
  readonly root: Root
  /** Returns the local file for a path below the root. */
  readonly fileOf: (path: string) => string
}

const absoluteFile = (path: string): string =>
  process.platform === 'win32' ? path.replace(/^([A-Za-z])\//, '$1:/') : `/${path}`

/**
 * Returns the mirror in a directory on a host. Paths below its root are absolute local paths without the leading `/`,
 * unless `fileOf` maps them to other local files.
 */
export const mirrorAt = (host: Host, folder: string, fileOf = absoluteFile): HostMirror => ({
  host,
  folder,
  root: `${folder}/root`,
  fileOf,
})

/**
 * Prints the record, the record of an unfinished update, the path of the file that this update was overwriting, the
 * paths of both records, and an empty string, each followed by a NUL. Then prints one line with the type of each path,
 * starting with the paths from standard input. Paths are processed in batches; the digests of the files in a batch
 * follow the types of the batch.
 */
const look = `
folder=$1
mkdir -p -- "$folder/root" && chmod 700 -- "$folder" && cd -- "$folder/root" || exit
show() { for file; do [ ! -f "$file" ] || cat "$file"; done; }
show ../shipped
printf '\\0'
show ../pending/shipped
printf '\\0'
show ../pending/overwriting
printf '\\0'
show ../paths ../pending/paths
printf '\\0'
{ cat; show ../paths ../pending/paths; } | xargs -0 -n 300 sh -c '
count=$#
while [ $count -gt 0 ]; do
  path=$1 count=$((count - 1))
  shift
  if [ -h "$path" ]; then printf "l%s\\n" "$(readlink -- "$path")"
  elif [ -d "$path" ]; then echo d
  elif [ -f "$path" ] && [ -r "$path" ]; then echo f; set -- "$@" "$path"
  elif [ -e "$path" ]; then echo o
  else echo -
  fi
done
[ $# = 0 ] || sha256sum -- "$@" | sed -n "s/^[\\\\\\\\]\\{0,1\\}\\([0-9a-f]\\{64\\}\\) .*/=\\1/p"
' fleet
`

const writeError = (host: Host, folder: string, output: string): UserError =>
  new UserError(
    'failed',
    `cannot write to ${folder} on ${host.name}: ${output.trim() || 'unknown error'}`,
    {
      machine: host.name,
      hint: `check the permissions: ${commandOn(host, `ls -ld ${quoteForHost(folder)}`)}`,
    },
  )

interface Found {
  readonly shipped: Map<string, Entry>
  readonly host: Map<string, HostEntry>
  /** Whether an update was interrupted. */
  readonly isUnfinished: boolean
}

/** Whether a value is a relative path without `.` or `..` components. */
const isBelow = (path: unknown): path is string =>
  typeof path === 'string' &&
  path !== '' &&
  !path.includes('\0') &&
  path.split('/').every((name) => name !== '' && name !== '.' && name !== '..')

/** Parses an entry of a record, dropping unknown properties; undefined if it is invalid. */
function parseEntry(value: unknown): Entry | undefined {
  const { type, mode, digest, target } = value as Partial<Record<string, unknown>>
  if (type === 'link') return typeof target === 'string' ? { type, target } : undefined
  if (!Number.isInteger(mode) || (mode as number) < 0 || (mode as number) > 0o7777) return undefined
  if (type === 'folder') return { type, mode: mode as number }
  const isFile = type === 'file' && typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest)
  return isFile ? { type, mode: mode as number, digest } : undefined
}

/**
 * Parses the record of copied files, which has one JSON array per line. Invalid lines are ignored, because a host or a
 * container can write anything there.
 */
export function parseRecord(text: string): Map<string, Entry> {
  const shipped = new Map<string, Entry>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    try {
      const [path, value] = JSON.parse(line) as readonly unknown[]
      const entry = parseEntry(value)
      if (isBelow(path) && entry !== undefined) shipped.set(path, entry)
    } catch (error) {
      traceError('docker', 'read the list of copied files', error)
      continue
    }
  }
  return shipped
}

function parseEntries(lines: readonly string[], paths: readonly string[]): Map<string, HostEntry> {
  const found: HostEntry[] = []
  const files: number[] = []
  for (const line of lines) {
    const [kind] = line
    if (kind === '=') found[files.shift() ?? -1] = { type: 'file', digest: line.slice(1) }
    else if (kind === 'l') found.push({ type: 'link', target: line.slice(1) })
    else if (kind === 'd') found.push({ type: 'folder' })
    else if (kind === '-') found.push({ type: 'nothing' })
    else if (kind === 'f') {
      files.push(found.length)
      found.push({ type: 'other' })
    } else if (kind === 'o') found.push({ type: 'other' })
  }
  if (found.length !== paths.length || files.length > 0)
    throw new Error('expected one line per path')
  return new Map(paths.map((path, index) => [path, found[index] ?? { type: 'other' }]))
}

const isEqual = (one: Entry | undefined, other: Entry | undefined): boolean =>
  JSON.stringify(one) === JSON.stringify(other)

/** A mirror update that was interrupted. */
interface Unfinished {
  /** The record before the update. */
  readonly shipped: Shipped
  /** The record that the update would have left if it had finished. */
  readonly pending: Shipped
  /** The path of the file that the update was overwriting; empty if there is none. */
  readonly overwriting: string
}

/** Returns the record of copied files after an interrupted update. It describes each file as the update left it. */
function recordAfter(
  { shipped, pending, overwriting }: Unfinished,
  host: ReadonlyMap<string, HostEntry>,
  local: LocalFiles,
): Map<string, Entry> {
  const record = new Map(shipped)
  for (const path of new Set([...shipped.keys(), ...pending.keys()])) {
    const [before, after] = [shipped.get(path), pending.get(path)]
    const found = host.get(path)
    if (isEqual(before, after) || found === undefined || found.type === 'other') continue
    if (found.type === 'nothing') {
      record.delete(path)
      continue
    }
    const isOurs = path === overwriting || isSame(before, found) || isSame(after, found)
    if (!isOurs) continue
    // The modes on the host are unknown. A mode that differs from the local file's is recorded, so the next update sets
    // it again.
    const [wanted] = modesOf(local.get(path))
    const modes = [...modesOf(before), ...modesOf(after)]
    const mode = modes.find((one) => one !== wanted) ?? wanted ?? 0
    if (found.type === 'file') record.set(path, { type: 'file', mode, digest: found.digest })
    else if (found.type === 'link') record.set(path, found)
    else record.set(path, { type: found.type, mode })
  }
  return record
}

const modesOf = (entry: Entry | undefined): number[] =>
  entry === undefined || entry.type === 'link' ? [] : [entry.mode]

/** Reads the record of a mirror and the types of its files. */
async function inspectMirror({ host, folder }: HostMirror, local: LocalFiles): Promise<Found> {
  const { transport, become = [], name } = host
  const words = [...become, 'sh', '-c', look, 'fleet', folder]
  const input = [...local.keys()].map((path) => `${path}\0`).join('')
  const { code, stdout, stderr } = await run(transport, words, { input })
  const [recorded = '', unfinished = '', overwriting = '', ...rest] = stdout.split('\0')
  const count = rest.indexOf('')
  if (count === -1) throw writeError(host, folder, stderr)
  const [shipped, pending] = [parseRecord(recorded), parseRecord(unfinished)]
  const lines = rest
    .slice(count + 1)
    .join('\0')
    .split('\n')
  try {
    const entries = parseEntries(lines, [...local.keys(), ...rest.slice(0, count)])
    const unlisted = [...shipped.keys(), ...pending.keys()].find((path) => !entries.has(path))
    if (unfinished === '') {
      if (unlisted !== undefined) throw new Error(`no line for ${unlisted}`)
      return { shipped, host: entries, isUnfinished: false }
    }
    const record = recordAfter({ shipped, pending, overwriting }, entries, local)
    return { shipped: record, host: entries, isUnfinished: true }
  } catch (error) {
    throw new UserError(
      'failed',
      `cannot compare the files in ${folder} on ${name}: ${stderr.trim() || `exit code ${code}`}`,
      {
        machine: name,
        cause: error,
        hint: `if the list of copied files on the host is damaged, remove it: ${commandOn(host, `rm -rf ${['shipped', 'paths', 'pending'].map((one) => quoteForHost(`${folder}/${one}`)).join(' ')}`)}`,
      },
    )
  }
}

const changed = (file: string): UserError =>
  new UserError('failed', `${file} changed while it was being copied`, {
    hint: 'run the command again',
  })

/** Reads a file. Throws if it has changed since the comparison. */
async function* readFile(file: string, size: number, digest: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let left = size
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 })) {
      const piece = chunk as Buffer
      left -= piece.length
      if (left < 0) throw changed(file)
      hash.update(piece)
      yield piece
    }
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError('failed', `cannot read ${file}: ${fileProblemOf(error)}`, { cause: error })
  }
  if (left > 0 || hash.digest('hex') !== digest) throw changed(file)
}

/** Creates a tar archive of the files to send, below `files/`, and of additional files with the given contents. */
async function* packFiles(
  send: LocalFiles,
  texts: Readonly<Record<string, string>>,
): AsyncGenerator<Buffer> {
  for (const [path, entry] of send) {
    const owner = process.platform === 'linux' ? entry.owner : { uid: 0, gid: 0 }
    const mtime = entry.modified.getTime() / 1000
    const facts = { name: toByteString(`files/${path}`), mtime, size: 0, linkname: '', ...owner }
    if (entry.type === 'file') {
      const { mode, size, digest } = entry
      yield encodeHeader({ ...facts, type: 'file', mode, size })
      yield* readFile(entry.file, size, digest)
      yield padding(size)
    } else if (entry.type === 'folder') {
      yield encodeHeader({ ...facts, type: 'directory', mode: entry.mode })
    } else {
      const linkname = toByteString(entry.target)
      yield encodeHeader({ ...facts, type: 'symlink', mode: 0o777, linkname })
    }
  }
  for (const [name, text] of Object.entries(texts)) {
    const content = Buffer.from(text)
    const facts = { mode: 0o600, mtime: 0, uid: 0, gid: 0, linkname: '' }
    yield encodeHeader({ ...facts, name, type: 'file', size: content.length })
    yield Buffer.concat([content, padding(content.length)])
  }
  yield endOfArchive
}

/**
 * Shell functions for the script that moves files to their targets. `enter` changes to a directory below the root and
 * checks that its path has no symbolic links, because a container may write there at the same time. After that, only
 * names in the current directory are used.
 */
const functions = `
umask 022
root=$1 incoming=$2
real=$(cd -P -- "$root" && pwd -P) || exit
fail() { printf '%s\\n' "$1" >&2; exit 1; }
enter() {
  cd -P -- "$root/$1" 2>/dev/null && [ "$(pwd -P)" = "$real\${1:+/$1}" ] ||
    fail "$root/$1 is behind a symbolic link or is not a directory"
}
make() {
  below= left=$1/
  while [ -n "$left" ]; do
    name=\${left%%/*} left=\${left#*/}
    enter "$below"
    if [ -h "./$name" ] || [ ! -d "./$name" ]; then
      mkdir -- "./$name" || fail "cannot create $root/$below/$name"
    fi
    below=$below\${below:+/}$name
  done
}
place() {
  folder=$1
  shift
  enter "$folder"
  mv -f -- "$@" ./ || fail "cannot write to $root/$folder"
}
rewrite() {
  enter "$1"
  printf '%s' "\${1:+$1/}$2" >"$root/../pending/overwriting"
  [ ! -h "./$2" ] && [ -f "./$2" ] && cat -- "$incoming/files/$1/$2" >"./$2" || fail "cannot write $root/$1/$2"
  rm -f -- "$root/../pending/overwriting"
}
`

const splitPath = (path: string): readonly [string, string] => {
  const at = path.lastIndexOf('/')
  return [path.slice(0, Math.max(0, at)), path.slice(at + 1)]
}

/** The maximum number of names in one command. */
const batch = 400

/**
 * Returns the script that moves the sent files to their targets. Files that are mounted individually are overwritten,
 * because a container does not see a file that replaces the mounted one.
 */
function scriptFor(plan: ShippingPlan, host: Found['host']): string {
  const lines = ['cd -- "$root/.." && rm -rf pending && mv -- "$incoming/pending" ./ || exit']
  for (const path of plan.remove) {
    const [folder, name] = splitPath(path)
    const isFolder = host.get(path)?.type === 'folder'
    const command = isFolder
      ? `rmdir -- ./${shellQuote(name)} 2>/dev/null || :`
      : `rm -f -- ./${shellQuote(name)}`
    lines.push(
      `if [ -d "$root"/${shellQuote(folder)} ]; then enter ${shellQuote(folder)}; ${command}; fi`,
    )
  }
  const byFolder = new Map<string, string[]>()
  for (const [path, entry] of plan.send) {
    const [folder, name] = splitPath(path)
    if (plan.send.has(folder)) continue // moved together with its directory
    if (entry.type === 'file' && entry.isMountPoint && host.get(path)?.type === 'file') {
      const mode = `chmod ${entry.mode.toString(8)} -- ./${shellQuote(name)}`
      lines.push(`rewrite ${shellQuote(folder)} ${shellQuote(name)}; ${mode}`)
    } else byFolder.set(folder, [...(byFolder.get(folder) ?? []), name])
  }
  for (const [folder, names] of byFolder) {
    if (folder !== '') lines.push(`make ${shellQuote(folder)}`)
    for (let at = 0; at < names.length; at += batch) {
      const files = names
        .slice(at, at + batch)
        .map(
          (name) => `"$incoming"/files/${shellQuote(folder === '' ? name : `${folder}/${name}`)}`,
        )
      lines.push(`place ${shellQuote(folder)} ${files.join(' ')}`)
    }
  }
  for (const [path, entry] of plan.chmod) {
    if (entry.type === 'link') continue
    const [folder, name] = splitPath(path)
    const file = `./${shellQuote(name)}`
    lines.push(
      `enter ${shellQuote(folder)}; [ -h ${file} ] || chmod ${entry.mode.toString(8)} -- ${file}`,
    )
  }
  lines.push('cd -- "$root/.." && mv -f -- pending/paths pending/shipped ./ && rm -rf pending')
  return `${functions}\n${lines.join('\n')}\n`
}

/** Formats the record of copied files. */
export const formatRecord = (shipped: Shipped): string =>
  [...shipped].map((pair) => `${JSON.stringify(pair)}\n`).join('')

/** Creates the directory for the sent files, and removes directories left over from commands that were killed. */
const receive = `
find "$1" -maxdepth 1 -name '.incoming-*' -mmin +60 -exec rm -rf -- {} +
mkdir -m 700 -- "$1/$2"
`

/** Runs the script that was sent, and always removes the sent files afterwards. */
const settle = `
cd -- "$1" || exit
trap 'rm -rf -- "$1/$2"' EXIT
trap 'exit 1' HUP INT TERM PIPE
sh "$2/script" "$1/root" "$1/$2"
`

/** Places items in the incoming directory of an update, as `files/PATH`. */
type Stage = (incoming: string, items: LocalFiles) => Promise<void>

/** Updates a mirror. The items to send come from this computer, unless `stage` provides them on the host. */
async function apply(
  { host, folder }: HostMirror,
  plan: ShippingPlan,
  found: Found['host'],
  stage?: Stage,
): Promise<void> {
  const { transport, become = [] } = host
  const incoming = `.incoming-${randomUUID()}`
  const made = await run(transport, [...become, 'sh', '-c', receive, 'fleet', folder, incoming])
  if (made.code !== 0) throw writeError(host, folder, made.stderr)
  const archive = packFiles(stage === undefined ? plan.send : new Map(), {
    script: scriptFor(plan, found),
    'pending/shipped': formatRecord(plan.shipped),
    'pending/paths': [...plan.shipped.keys()].map((path) => `${path}\0`).join(''),
  })
  const stream = Readable.from(archive, { objectMode: false })
  await unpackOnHost(host, stream, `${folder}/${incoming}`, { keepOwners: true })
  await stage?.(`${folder}/${incoming}`, plan.send)
  const settled = await run(transport, [...become, 'sh', '-c', settle, 'fleet', folder, incoming])
  if (settled.code !== 0) throw writeError(host, folder, settled.stderr)
}

/** The error for files that changed on both sides, with the commands that resolve the conflict. */
function conflictError(
  { host, root }: HostMirror,
  paths: readonly string[],
  local: LocalFiles,
): UserError {
  const { name } = host
  const [first = ''] = paths
  const there = `${root}/${first}`
  const here = local.get(first)?.file ?? first
  // `fleet cp` logs in as a user who may not have permission to read files owned by root.
  const copyBack =
    host.become === undefined || host.become.length === 0
      ? `fleet cp ${shellQuote(`${name}:${there}`)} ${shellQuote(here)}`
      : `${commandOn(host, `cat ${quoteForHost(there)}`)} > ${shellQuote(here)}`
  const more = paths.length > 1 ? ` and ${paths.length - 1} more` : ''
  return new UserError(
    'failed',
    `conflict: ${here}${more} changed on both this computer and ${name} since the last copy; nothing was copied`,
    {
      machine: name,
      // A command that contains control characters cannot be pasted.
      hint: /\p{Cc}/u.test(here + there)
        ? 'give the file a name without control characters, then run the command again'
        : [
            `to keep the version on ${name}: ${copyBack}`,
            `to keep the version on this computer: ${commandOn(host, `rm ${quoteForHost(there)}`)}; then run the command again`,
          ].join('; '),
    },
  )
}

/**
 * Updates a mirror: sends changed local files and removes deleted ones. Changes on the host are kept. Returns the
 * record of the copied files. Throws kind `failed`, with nothing changed, when files have changed on both sides.
 * `beforeChange` is called before files on the host change.
 */
export async function shipFiles(
  mirror: HostMirror,
  local: LocalFiles,
  { beforeChange = async () => {} }: { readonly beforeChange?: () => Promise<void> } = {},
): Promise<Shipped> {
  const found = await inspectMirror(mirror, local)
  const gone = new Set<string>()
  for (const path of found.shipped.keys()) {
    if (local.has(path)) continue
    const file = mirror.fileOf(path)
    if ((await lstat(file).catch(ignored('docker', 'inspect a file in the project'))) === undefined)
      gone.add(path)
  }
  const plan = planShipping({ local, ...found, isHere: (path) => !gone.has(path) })
  if (plan.conflicts.length > 0) throw conflictError(mirror, plan.conflicts, local)
  const changes = plan.send.size + plan.remove.length + plan.chmod.size

  const isOnRecord = formatRecord(plan.shipped) === formatRecord(found.shipped)
  if (changes > 0) await beforeChange()
  if (changes > 0 || !isOnRecord || found.isUnfinished) await apply(mirror, plan, found.host)
  return plan.shipped
}

/**
 * Restores a mirror to an earlier record of copied files. `stage` takes the files' contents from the host. Files that
 * have been changed on the host since the last update are kept.
 */
export async function restoreFiles(
  mirror: HostMirror,
  earlier: Shipped,
  stage: Stage,
): Promise<void> {
  const facts = { file: '', size: 0, modified: new Date(0), owner: { uid: 0, gid: 0 } }
  const flags = { isInMount: true, isMountPoint: false }
  const local: LocalFiles = new Map(
    [...earlier].map(([path, entry]) => [path, { ...entry, ...facts, ...flags }]),
  )
  const found = await inspectMirror(mirror, local)
  const plan = planShipping({ local, ...found, isHere: () => false })
  const kept = new Set(plan.conflicts)
  const send = new Map([...plan.send].filter(([path]) => !kept.has(path)))
  await apply(mirror, { ...plan, send }, found.host, stage)
}
