import { randomUUID } from 'node:crypto'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { UserError } from '../../errors.ts'
import { run } from '../../transport/run.ts'
import type { Accepted } from './archive/accept-entries.ts'
import { writeTar } from './archive/write-tar.ts'
import {
  type Found,
  type Receiver,
  type Endpoint,
  type Source,
  type Target,
  smallFile,
} from './endpoint.ts'
import {
  type Host,
  openInput,
  packOnHost,
  reasonOf,
  stageScript,
  reportSkippedSockets,
} from './remote-tar.ts'

/** How long a host may take to add up the file sizes in a directory, in seconds. */
const measureSeconds = 1

/** How long a host may take to inspect a path, in milliseconds. */
const lookTimeoutMs = 60_000

const printType = `
physical() { (cd -- "$1" 2>/dev/null && pwd -P && printf .); }
print_type() {
  if [ -d "$1" ]; then kind=folder; elif [ -f "$1" ]; then kind=file
  elif [ -e "$1" ]; then kind=other; else kind=absent; fi
  link=; [ -L "$1" ] && link=link
  printf '%s\\0%s\\0' "$kind" "$link"
}
`

/** Prints the type of a path, its real name, and the total size if it can be determined in time. */
const inspectSource = `${printType}
physical "$1" >/dev/null || exit 44
print_type "$2"
size=
case $kind in
  folder)
    real=$(physical "$2") && real=\${real%??} && name=\${real##*/}
    size=$({ timeout ${measureSeconds} find "$2/" -type f -printf '%s\\n' 2>/dev/null && echo all; } |
      awk '/all/ { complete = 1 } { size += $1 } END { if (complete) printf "%.0f", size }') ;;
  file) size=$(stat -L -c %s -- "$2" 2>/dev/null) ;;
esac
printf '%s\\0%s\\0' "$name" "$size"
`

/** Prints the type of a path, and the type of an item in it. */
const inspectTarget = `${printType}
physical "$1" >/dev/null || exit 44
print_type "$2"
print_type "$2/$3"
`

const noFolder = 44
const incomplete = 46

/**
 * Moves the received `$content` to its target: `place` creates it or replaces a file or a link; `merge` merges
 * directories like `cp -R`, but follows no links in them. A read-only directory must be made writable before it can be
 * moved.
 */
const settle = `
put() {
  if [ -d "$1" ] && [ ! -L "$1" ] && [ ! -w "$1" ]; then
    chmod u+w "$1" && mv -- "$1" "$2" && chmod u-w "$2"
  else mv -f -- "$1" "$2"; fi
}
refuse() { echo "$1 already exists with a different type" >&2; return 1; }
merge() {
  [ -w "$1" ] || chmod u+w "$1"
  for from in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -e "$from" ] || [ -L "$from" ] || continue
    to=$2/\${from##*/}
    isFolder=; [ -d "$from" ] && [ ! -L "$from" ] && isFolder=yes
    if [ -L "$to" ]; then
      if [ "$isFolder" ]; then refuse "$to"; else rm -f -- "$to" && put "$from" "$to"; fi
    elif [ -d "$to" ]; then
      if [ "$isFolder" ]; then merge "$from" "$to"; else refuse "$to"; fi
    elif [ -e "$to" ]; then
      if [ "$isFolder" ]; then refuse "$to"
      elif [ -L "$from" ]; then put "$from" "$to"
      elif [ -f "$from" ] && [ -f "$to" ]; then cat "$from" >"$to"
      else refuse "$to"; fi
    else put "$from" "$to"; fi || failed=yes
  done
  [ -z "$failed" ]
}
case $how in
  place) put "$content" "$target" ;;
  merge) failed=; merge "$content" "$target" ;;
esac
`

/**
 * Unpacks an archive that contains the entry `content` and then the file `complete`, which shows that nothing is
 * missing.
 */
const takeArchive = `
how=$1 stage=$2 target=$3
${stageScript}
tar -xpof - -C "$stage" || exit
[ -f "$stage/complete" ] || exit ${incomplete}
content=$stage/content
${settle}
`

/** Writes to an existing file. A small file is overwritten after all data has arrived; the first input line is the size. */
const takeContent = `
export LC_ALL=C
read -r size || exit ${incomplete}
if [ "$size" -le ${smallFile} ] && [ -f "$1" ] && copy=$(mktemp 2>/dev/null); then
  trap 'rm -f -- "$copy"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  cat >"$copy" || exit
  [ "$(wc -c <"$copy")" -eq "$size" ] || exit ${incomplete}
  cat "$copy" >"$1"
else
  exec cat >"$1"
fi
`

/**
 * Converts a path for the scripts, so that it cannot be mistaken for a flag and, if relative, starts at the home
 * directory.
 */
const plainPath = (path: string): string => {
  const fromHome = path.replace(/^~(?=\/|$)/, '.')
  const plain = fromHome.startsWith('/') ? fromHome : `./${fromHome}`
  return plain.replace(/(?<=[^/])\/+$/, '')
}

/** The parent directory of a path; `.` and `..` are their own parents. */
const parentOf = (path: string): string =>
  /(?:^|\/)\.{0,2}$/.test(path) ? path : posix.dirname(path)

/** The endpoint for files on a host. Relative paths are below the home directory of the login user. */
export function openRemoteEndpoint(host: Host, signal: AbortSignal): Endpoint {
  const { name: machine, transport } = host
  const failed = (message: string) => new UserError('failed', message, { machine })

  async function look(script: string, path: string, more: readonly string[]): Promise<string[]> {
    const parent = parentOf(path)
    const words = ['sh', '-c', script, 'fleet', parent, path, ...more]
    const { code, stdout, stderr } = await run(transport, words, {
      signal,
      idleTimeoutMs: lookTimeoutMs,
    })
    if (code === noFolder)
      throw failed(`the directory ${parent} does not exist or cannot be accessed`)
    if (code !== 0) throw failed(`cannot read ${path}: ${reasonOf(stderr)}`)
    return stdout.split('\0')
  }

  const kinds = new Set(['absent', 'file', 'folder', 'other'])
  function readFound(kind: string | undefined, link: string | undefined): Found {
    if (kind === undefined || !kinds.has(kind)) {
      throw failed('the host returned an unknown file type')
    }
    return { kind: kind as Found['kind'], isLink: link === 'link' }
  }

  /** Starts the script that receives a copy. */
  async function receive({ path: typed, how }: Target): Promise<Receiver> {
    const target = plainPath(typed)
    const { folder, stage } = stageFor(target, how)
    const words =
      how === 'write'
        ? ['sh', '-c', takeContent, 'fleet', target]
        : ['sh', '-c', takeArchive, 'fleet', how, stage, target]
    const program = await openInput(transport, words, signal)
    return {
      async take(entries) {
        const bytes =
          how === 'write'
            ? contentOf(entries)
            : writeTar(entries, { root: 'content', mark: 'complete' })
        const input = Readable.from(bytes, { objectMode: false, highWaterMark: 1 << 20 })
        const { code, errorOutput } = await program.feed(input)
        if (code === incomplete)
          throw failed(`${target} was not written: the transfer was incomplete`)
        if (code !== 0) {
          throw failed(`cannot write ${writeErrorOf(errorOutput, { folder, stage, target })}`)
        }
      },
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    }
  }

  return {
    machine,
    async inspectSource(typed) {
      const [kind, link, name = '', size = ''] = await look(inspectSource, plainPath(typed), [])
      const bytes = /^\d{1,15}$/.test(size) ? Number(size) : undefined
      return { ...readFound(kind, link), name, size: bytes }
    },
    async inspectTarget(typed, name) {
      const [kind, link, inner, innerLink] = await look(inspectTarget, plainPath(typed), [name])
      const found = readFound(kind, link)
      const inside = found.kind === 'folder' ? readFound(inner, innerLink) : undefined
      return { ...found, inside }
    },
    async send({ path: typed, asFolder, follow }, onSkipped) {
      const path = plainPath(typed)
      const [folder, name] = asFolder ? [path, '.'] : [posix.dirname(path), posix.basename(path)]
      const followLink = follow && !asFolder
      return await packOnHost(host, folder, name, { signal, onSkipped, followLink })
    },
    receive,
  }
}

/** Yields the only file of `entries` as a stream: its size, a line feed, and its content. */
async function* contentOf(entries: AsyncIterable<Accepted>): AsyncGenerator<Buffer, void> {
  for await (const { type, size, content } of entries) {
    if (type !== 'file') throw new UserError('failed', `expected a file, but received a ${type}`)
    yield Buffer.from(`${size}\n`)
    yield* content
  }
}

const isSame = 48
const intoItself = 45
const unreadable = 49

/** Copies within one host, in one session. Keeps everything except the owner, which becomes the login user. */
const copyWithin = `
how=$1 stage=$2 target=$3 source=$4 asFolder=$5
real() { (cd -- "$1" && pwd -P); }
if [ "$how" = write ]; then
  [ "$source" -ef "$target" ] && exit ${isSame}
  exec cat "$source" >"$target"
fi
if [ "$asFolder" ]; then
  into=$target; [ "$how" = merge ] || into=\${stage%/*}
  case $(real "\${into:-/}")/ in "$(real "$source")"/*) exit ${intoItself} ;; esac
fi
${stageScript}
mkdir "$stage/in" || exit
if [ "$asFolder" ]; then from=$source name=. content=$stage/in
else from=\${source%/*} name=./\${source##*/} content=$stage/in/\${source##*/}; fi
{
  tar -cf - -C "\${from:-/}" -- "$name" 2>"$stage/errors" || echo $? >"$stage/failed"
} | tar -xpof - -C "$stage/in" || exit
cat "$stage/errors" >&2
if [ -e "$stage/failed" ]; then
  [ "$(cat "$stage/failed")" = 1 ] && grep -q 'file changed as we read it' "$stage/errors" || exit ${unreadable}
fi
${settle}
`

/** Copies from one path on a host to another. */
export async function copyWithinHost(
  { name: machine, transport }: Host,
  source: Source,
  { path, how }: Target,
  { signal, onSkipped }: { signal: AbortSignal; onSkipped: (what: string) => void },
): Promise<void> {
  const [from, target] = [plainPath(source.path), plainPath(path)]
  const { folder, stage } = stageFor(target, how)
  const asFolder = source.asFolder ? 'yes' : ''
  const words = ['sh', '-c', copyWithin, 'fleet', how, stage, target, from, asFolder]
  const { code, stderr } = await run(transport, words, { signal })
  const failed = (message: string) => new UserError('failed', message, { machine })
  if (code === isSame) throw failed(`${from} and ${target} are the same file`)
  if (code === intoItself) throw failed(`${from} cannot be copied into itself`)
  if (code === unreadable) throw failed(`cannot read ${from}: ${reasonOf(stderr)}`)
  if (code !== 0) throw failed(`cannot write ${writeErrorOf(stderr, { folder, stage, target })}`)
  reportSkippedSockets(stderr, onSkipped)
}

/** The staging directory of a copy, and its parent directory. */
function stageFor(target: string, how: Target['how']): { folder: string; stage: string } {
  const folder = how === 'merge' ? target : posix.dirname(target)
  return { folder, stage: `${folder.replace(/\/$/, '')}/.fleet-${randomUUID()}` }
}

/** The error message of a failed write, with the user's paths in place of staging paths. */
function writeErrorOf(
  errorOutput: string,
  { folder, stage, target }: { folder: string; stage: string; target: string },
): string {
  const where = errorOutput.startsWith('mkdir:') ? folder : target
  const reason = reasonOf(errorOutput.replaceAll(`${stage}/content`, target))
  return `${where}: ${reason.replaceAll(stage, folder)}`
}
