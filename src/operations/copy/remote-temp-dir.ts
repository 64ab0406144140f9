import { randomUUID } from 'node:crypto'
import { UserError } from '../../errors.ts'
import { run } from '../../transport/run.ts'
import { encodeHeader, endOfArchive, padding, toByteString } from './archive/tar-format.ts'
import type { Host } from './remote-tar.ts'

/** How long a folder waits for the next command that uses it, in seconds. */
const waitSeconds = 120

/** Shell: removes `$folder` after a while in which no other command has taken it. */
const expire = `
expire() {
  echo "$1" >"$folder/.lease"
  ( trap '' HUP; sleep ${waitSeconds}
    [ "$(cat "$folder/.lease" 2>/dev/null)" = "$1" ] && rm -rf -- "$folder" ) </dev/null >/dev/null 2>&1 &
}
`

/**
 * Makes a private folder, fills it from an archive, and prints its path and a NUL. It goes by itself when no command takes
 * it over: no session is held for it.
 */
const fill = `
${expire}
export LC_ALL=C
name=$1; shift
for base; do [ -n "$base" ] && [ -d "$base" ] && [ -w "$base" ] && break; done
folder=$base/$name
umask 077
mkdir -- "$folder" || exit
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 1' HUP INT TERM PIPE
tar -xf - -C "$folder" || exit
[ -f "$folder/$name" ] || exit 46
trap - EXIT
expire "made-$$"
printf '%s\\0' "$folder"
`

/** Where a folder is made: in the first place that is there. What is in memory is never written to a disk, if the host can. */
const places = {
  memory: `/dev/shm "$XDG_RUNTIME_DIR" "\${TMPDIR:-/tmp}"`,
  disk: `"\${TMPDIR:-/tmp}"`,
}

/**
 * Runs a command that needs the folder, and removes it when that ends, or when the link is lost: when the SSH server's
 * process that this one comes from is no more. Signals are the command's to mind.
 */
const hold = `
${expire}
folder=$1 keep=$2; shift 2
echo "held-$$" >"$folder/.lease" || exit 125
remove() { if [ -n "$keep" ]; then expire "left-$$"; else rm -rf -- "$folder"; fi; }
trap remove EXIT
trap : INT QUIT TERM HUP PIPE
server=$PPID
while [ "$server" -gt 1 ] 2>/dev/null; do
  case $(cat "/proc/$server/comm" 2>/dev/null) in *ssh*|dropbear*) break ;; esac
  server=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$server/status" 2>/dev/null)
done
if [ "\${server:-0}" -gt 1 ]; then
  ( trap '' HUP INT QUIT TERM
    while [ -d "/proc/$server" ] && [ "$(cat "$folder/.lease" 2>/dev/null)" = "held-$$" ]; do sleep 1; done
    [ -d "/proc/$server" ] || rm -rf -- "$folder" ) </dev/null >/dev/null 2>&1 &
fi
"$@"
`

/** A private folder (0700) on a host. It goes a while after the last command that used it. Disposing removes it at once. */
export interface HostFolder extends AsyncDisposable {
  readonly path: string
  /** The words that run a command, and remove the folder when that ends; `keep`: where the link is lost only. */
  readonly holdFor: (words: readonly string[], options?: { readonly keep?: boolean }) => string[]
}

function* archiveOf(files: Readonly<Record<string, string | Buffer>>): Generator<Buffer> {
  const facts = { type: 'file', mode: 0o600, mtime: 0, uid: 0, gid: 0, linkname: '' } as const
  for (const [name, content] of Object.entries(files)) {
    const size = Buffer.byteLength(content)
    yield encodeHeader({ ...facts, name: toByteString(name), size })
    yield Buffer.from(content)
    yield padding(size)
  }
  yield endOfArchive
}

interface Opening {
  /** `memory` is for secrets. */
  readonly where: keyof typeof places
  /** What is in it, by path. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  readonly signal?: AbortSignal
}

/** Opens a private folder on a host. */
export async function openHostFolder(
  { name: machine, transport, become = [] }: Host,
  { where, files = {}, signal }: Opening,
): Promise<HostFolder> {
  const name = `.fleet-${randomUUID()}`
  const input = Buffer.concat([...archiveOf({ ...files, [name]: '' })])
  const script = `set -- "$1" ${places[where]}\n${fill}`
  const words = [...become, 'sh', '-c', script, 'fleet', name]
  const options = { input, ...(signal === undefined ? {} : { signal }) }
  const { code, stdout, stderr } = await run(transport, words, options)
  const [path, end] = stdout.split('\0')
  if (code !== 0 || path === undefined || end === undefined) {
    const reason = stderr.trim() || 'the command ended early'
    throw new UserError('failed', `cannot create a temporary folder: ${reason}`, { machine })
  }
  return {
    path,
    holdFor: (held, { keep = false } = {}) => [
      ...['sh', '-c', hold, 'fleet', path, keep ? 'keep' : ''],
      ...held,
    ],
    async [Symbol.asyncDispose]() {
      await run(transport, [...become, 'rm', '-rf', '--', path]).catch(() => {}) // it goes by itself
    },
  }
}
