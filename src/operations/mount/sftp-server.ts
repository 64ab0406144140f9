import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../../errors.ts'
import { exitCodeOf } from '../../transport/command.ts'
import { run } from '../../transport/run.ts'
import { startProgram } from '../../transport/start-program.ts'
import type { Transport } from '../../transport/transport.ts'

/** Exit codes of the scripts below. */
const [noDirectory, noAccess, noServer] = [44, 45, 46]

/**
 * A shell script that finds the SFTP server program, which distributions install outside the PATH. Running it as a
 * command requires no subsystem, so it works over every connection that fleet can open.
 */
const findServer = `
for server in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server \\
  /usr/libexec/sftp-server "$(command -v sftp-server)" \\
  "$(awk 'tolower($1) == "subsystem" && $2 == "sftp" { print $3; exit }' /etc/ssh/sshd_config 2>/dev/null)"; do
  [ -f "$server" ] && [ -x "$server" ] && break
  server=
done
[ -n "$server" ] || exit ${noServer}`

/**
 * A shell script that prints the real path of the directory `$1` (default: the home directory), followed by a dot,
 * since the path may end with a line break.
 */
const findDirectory = `${findServer}
CDPATH=
[ -z "$1" ] || [ -d "$1" ] || exit ${noDirectory}
cd -- "\${1:-.}" 2>/dev/null && [ -r . ] || exit ${noAccess}
pwd -P && printf .`

/** How long a host may take to inspect a directory, in milliseconds. */
const lookTimeoutMs = 60_000

/**
 * The absolute path of a directory on a host that can be mounted; if `path` is empty, of the login user's home
 * directory. Throws kind `failed` when it is not a directory or not readable, and kind `unsupported` when the host has
 * no SFTP server.
 */
export async function findRemoteDirectory(
  transport: Transport,
  machine: string,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const { code, stdout } = await run(transport, ['sh', '-c', findDirectory, 'sh', path], {
    signal,
    idleTimeoutMs: lookTimeoutMs,
  })
  if (code === noServer) throw withoutServer(machine)
  if (code === noDirectory) {
    throw new UserError('failed', `the directory ${path} does not exist`, {
      machine,
      hint: `to list directories: fleet ssh ${machine} ls`,
    })
  }
  if (code !== 0 || !/^\/.*\n\.$/s.test(stdout)) {
    throw new UserError('failed', `cannot read ${path || 'the home directory'}`, {
      machine,
      hint: 'give the login user permission to read the directory',
    })
  }
  return stdout.slice(0, -'\n.'.length)
}

const withoutServer = (machine: string): UserError =>
  new UserError('unsupported', 'the host has no SFTP server', {
    machine,
    hint: 'install the package openssh-sftp-server (Debian, Ubuntu, Alpine) or openssh-server (other distributions) on the host',
  })

/** Connects `stdin` and `stdout` to an SFTP server on a host. Resolves to its exit code. */
export async function serveSftp(
  transport: Transport,
  { stdin, stdout, signal }: { stdin: Readable; stdout: Writable; signal: AbortSignal },
): Promise<number> {
  const running = await startProgram(transport, ['sh', '-c', `${findServer}\nexec "$server"`], {
    signal,
  })
  running.stdin.on('error', () => {}) // the server may exit before it has read everything
  running.stderr.resume()
  stdin.pipe(running.stdin)
  const [status] = await Promise.all([
    running.exit,
    pipeline(running.stdout, stdout, { end: false }),
  ])
  return exitCodeOf(status)
}
