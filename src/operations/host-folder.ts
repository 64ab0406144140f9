import { randomUUID } from 'node:crypto'
import { buffer, text } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { UserError } from '../errors.ts'
import type { RunningCommand } from '../transport/transport.ts'
import type { Host } from './host-tree.ts'

/**
 * Makes a folder, fills it from an archive of `size` bytes, prints its path and a NUL, and holds
 * it until the input ends: at our word, or because the link was lost or fleet was killed.
 */
const hold = `
name=$1 size=$2; shift 2
for base; do [ -n "$base" ] && [ -d "$base" ] && [ -w "$base" ] && break; done
folder=$base/$name
umask 077
mkdir -- "$folder" || exit
remove() { rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }; }
trap remove EXIT
trap 'exit 1' HUP INT TERM PIPE
[ "$size" = 0 ] || head -c "$size" | tar -xf - -C "$folder" || exit
printf '%s\\0' "$folder"
cat >/dev/null
`

/** Where a temporary folder goes: first one that is there. `memory` is for secrets. */
const places = {
  memory: `/dev/shm "$XDG_RUNTIME_DIR" "\${TMPDIR:-/tmp}"`,
  disk: `"\${TMPDIR:-/tmp}"`,
}

/** A private folder (0700) on a host. Disposing removes it; so does the loss of the link. */
export interface HostFolder extends AsyncDisposable {
  readonly path: string
}

async function archiveOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  if (Object.keys(files).length === 0) return Buffer.alloc(0)
  const archive = pack()
  for (const [name, content] of Object.entries(files)) archive.entry({ name, mode: 0o600 }, content)
  archive.finalize()
  return buffer(archive)
}

/** What a command printed up to the first NUL, or nothing when it ended before. */
async function readToNul({ stdout }: RunningCommand): Promise<string | undefined> {
  let printed = Buffer.alloc(0)
  for await (const chunk of stdout.iterator({ destroyOnReturn: false })) {
    printed = Buffer.concat([printed, chunk as Buffer])
    const end = printed.indexOf(0)
    if (end !== -1) return printed.toString('utf8', 0, end)
  }
  return undefined
}

/**
 * Opens a private folder on a host, holding `files` (name to content).
 * - `where`: `memory` (never written to a disk, if the host can), `disk`, or the folder to make it in.
 */
export async function openHostFolder(
  { name: machine, transport, become = [] }: Host,
  where: 'memory' | 'disk' | { readonly under: string },
  files: Readonly<Record<string, string | Buffer>> = {},
): Promise<HostFolder> {
  const archive = await archiveOf(files)
  const name = `.fleet-${randomUUID()}`
  const settings = [name, String(archive.length)]
  const running = await transport.exec(
    typeof where === 'string'
      ? [...become, 'sh', '-c', `set -- "$@" ${places[where]}\n${hold}`, 'fleet', ...settings]
      : [...become, 'sh', '-c', hold, 'fleet', ...settings, where.under],
  )
  running.exit.catch(() => {}) // a lost link is told by whatever uses the folder
  running.stdin.on('error', () => {})
  running.stdin.write(archive)
  const complaint = text(running.stderr).catch(() => '')
  const path = await readToNul(running)
  if (path === undefined) {
    await running.exit
    const reason = (await complaint).trim() || 'the command ended early'
    const place = typeof where === 'string' ? 'a temporary folder' : where.under
    throw new UserError('failed', `cannot write ${place}: ${reason}`, { machine })
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      running.stdout.resume()
      running.stdin.end()
      await running.exit.catch(() => {})
    },
  }
}
