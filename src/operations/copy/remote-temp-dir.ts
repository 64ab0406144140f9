import { randomUUID } from 'node:crypto'
import { UserError } from '../../errors.ts'
import { run } from '../../transport/run.ts'
import { encodeHeader, endOfArchive, padding, toByteString } from './archive/tar-format.ts'
import type { Host } from './remote-tar.ts'
import { ignored } from '../../os/trace.ts'

/** How long a directory is kept for the next command, in seconds. */
const waitSeconds = 120

/** Shell: removes `$folder` after a while, unless another command has taken the lease. */
const expire = `
expire() {
  echo "$1" >"$folder/.lease"
  ( trap '' HUP; sleep ${waitSeconds}
    [ "$(cat "$folder/.lease" 2>/dev/null)" = "$1" ] && rm -rf -- "$folder" ) </dev/null >/dev/null 2>&1 &
}
`

/**
 * Creates a private directory, fills it from an archive, and prints its path and a NUL. The directory is removed
 * automatically if no command takes the lease, so no session needs to stay open.
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

/**
 * The candidates for the parent directory; the first writable one is used. `memory` avoids writing to a disk if the
 * host supports that.
 */
const places = {
  memory: `/dev/shm "$XDG_RUNTIME_DIR" "\${TMPDIR:-/tmp}"`,
  disk: `"\${TMPDIR:-/tmp}"`,
}

/**
 * Runs a command that needs the directory, and removes the directory when the command ends or the connection is lost,
 * that is, when the parent process of the SSH server exits. Signals are ignored here, because the command handles them.
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

/**
 * A private directory (0700) on a host. It is removed some time after the last command that used it, or when it is
 * disposed of.
 */
export interface HostFolder extends AsyncDisposable {
  readonly path: string
  /**
   * The command line that runs a command and then removes the directory. With `keep`, it removes the directory only if
   * the connection is lost.
   */
  readonly holdFor: (words: readonly string[], options?: { readonly keep?: boolean }) => string[]
}

/** Packs files into an archive, each with mode 0600. */
export function* packPrivateFiles(
  files: Readonly<Record<string, string | Buffer>>,
): Generator<Buffer> {
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
  /** Secrets belong in `memory`. */
  readonly where: keyof typeof places
  /** The files in the directory, keyed by path. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  readonly signal?: AbortSignal
}

/** Opens a private directory on a host. */
export async function openHostFolder(
  { name: machine, transport, become = [] }: Host,
  { where, files = {}, signal }: Opening,
): Promise<HostFolder> {
  const name = `.fleet-${randomUUID()}`
  const input = Buffer.concat([...packPrivateFiles({ ...files, [name]: '' })])
  const script = `set -- "$1" ${places[where]}\n${fill}`
  const words = [...become, 'sh', '-c', script, 'fleet', name]
  const options = { input, ...(signal === undefined ? {} : { signal }) }
  const { code, stdout, stderr } = await run(transport, words, options)
  const [path, end] = stdout.split('\0')
  if (code !== 0 || path === undefined || end === undefined) {
    const reason = stderr.trim() || 'the command ended unexpectedly'
    throw new UserError('failed', `cannot create a temporary directory: ${reason}`, { machine })
  }
  return {
    path,
    holdFor: (held, { keep = false } = {}) => [
      ...['sh', '-c', hold, 'fleet', path, keep ? 'keep' : ''],
      ...held,
    ],
    async [Symbol.asyncDispose]() {
      await run(transport, [...become, 'rm', '-rf', '--', path]).catch(
        ignored('copy', 'remove the temporary directory on the host'),
      ) // it is removed automatically later
    },
  }
}
