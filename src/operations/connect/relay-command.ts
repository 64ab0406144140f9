import { type AfterMark, afterMark, newMark, printMark } from '../../transport/output-after-mark.ts'
import { exitCodeOf } from '../../transport/command.ts'
import { readBeginning } from '../../transport/run.ts'
import type { ExecOptions, RunningCommand, Transport } from '../../transport/transport.ts'

/** The user that runs docker on the host: the login user, or root (with sudo). */
export type CommandUser = 'user' | 'root'

/**
 * Directories that may contain docker on systems where it is not in the PATH of a non-interactive shell: snap, NixOS,
 * Synology, QNAP.
 */
const usualFolders = [
  ...['/usr/local/bin', '/usr/local/sbin', '/usr/bin', '/usr/sbin', '/bin', '/sbin'],
  ...['/snap/bin', '/opt/bin', '/run/current-system/sw/bin', '$HOME/bin', '$HOME/.local/bin'],
  '/var/packages/ContainerManager/target/usr/bin',
  '/var/packages/Docker/target/usr/bin',
  '/share/CACHEDEV1_DATA/.qpkg/container-station/bin',
].join(':')

/**
 * A script that connects its input and output to the engine behind the socket `$1`. The mark `$0`, which it first
 * prints on both outputs, separates docker's output from that of the login shell's startup files.
 */
const relayScript = (as: CommandUser): string => `
PATH="$PATH:${usualFolders}"; export PATH
${printMark}; ${printMark} >&2
exec ${as === 'root' ? 'sudo -n ' : ''}env "PATH=$PATH" "DOCKER_HOST=unix://$1" docker system dial-stdio`

/** A running command on the host that serves as a connection to the engine. */
export interface RelayCommand extends Pick<RunningCommand, 'stdin' | 'exit'> {
  readonly stdout: AfterMark
  readonly stderr: AfterMark
}

/** Starts a command on the host that connects to the engine behind a socket. */
export async function startRelay(
  transport: Transport,
  socketPath: string,
  as: CommandUser,
  options: ExecOptions,
): Promise<RelayCommand> {
  const mark = newMark()
  const words = ['sh', '-c', relayScript(as), mark, socketPath]
  const { stdin, stdout, stderr, exit } = await transport.exec(words, options)
  return { stdin, exit, stdout: afterMark(stdout, mark), stderr: afterMark(stderr, mark) }
}

/** The result of pinging the engine through a command on the host. */
export interface RelayAttempt {
  readonly answered: boolean
  /**
   * Whether the command itself ran, and not one that the server forces in its place (ForceCommand in sshd_config(5)).
   */
  readonly wasRun: boolean
  readonly code: number
  /** The output of the command, or of the one that ran in its place. */
  readonly words: string
}

/** Pings the engine through a command on the host. */
export async function pingThroughRelay(
  transport: Transport,
  socketPath: string,
  as: CommandUser,
  options: ExecOptions,
): Promise<RelayAttempt> {
  const { stdin, stdout, stderr, exit } = await startRelay(transport, socketPath, as, options)
  stdin.on('error', () => {}) // the command may exit without reading its input
  stdin.end('GET /_ping HTTP/1.0\r\n\r\n')
  const [answer, words, status] = await Promise.all([
    readBeginning(stdout),
    readBeginning(stderr),
    exit,
  ])
  const wasRun = stdout.isPastMark
  return {
    answered: answer.startsWith('HTTP/1.'),
    wasRun,
    code: exitCodeOf(status),
    words: wasRun ? words || answer : `${stdout.greeting}\n${stderr.greeting}`,
  }
}
