import { type AfterMark, afterMark, newMark, printMark } from '../../transport/after-mark.ts'
import { exitCodeOf } from '../../transport/exit-code.ts'
import { beginningOf } from '../../transport/run.ts'
import type { ExecOptions, RunningCommand, Transport } from '../../transport/transport.ts'

/** As whom docker is run on the host. */
export type CommandUser = 'user' | 'root'

/** Where docker is on hosts whose shells look elsewhere when nobody is at a terminal: snap, NixOS, Synology, QNAP. */
const usualFolders = [
  ...['/usr/local/bin', '/usr/local/sbin', '/usr/bin', '/usr/sbin', '/bin', '/sbin'],
  ...['/snap/bin', '/opt/bin', '/run/current-system/sw/bin', '$HOME/bin', '$HOME/.local/bin'],
  '/var/packages/ContainerManager/target/usr/bin',
  '/var/packages/Docker/target/usr/bin',
  '/share/CACHEDEV1_DATA/.qpkg/container-station/bin',
].join(':')

/**
 * Passes its input and output on to the engine behind the socket `$1`. The mark `$0` tells, on both outputs, what docker
 * says from what the start files of the login shell print before.
 */
const relayScript = (as: CommandUser): string => `
PATH="$PATH:${usualFolders}"; export PATH
${printMark}; ${printMark} >&2
exec ${as === 'root' ? 'sudo -n ' : ''}env "PATH=$PATH" "DOCKER_HOST=unix://$1" docker system dial-stdio`

/** A command on the host that is a connection to the engine. */
export interface RelayCommand extends Pick<RunningCommand, 'stdin' | 'exit'> {
  readonly stdout: AfterMark
  readonly stderr: AfterMark
}

/** Starts the command on the host that leads to the engine behind a socket. */
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

/** What came of asking an engine through a command whether it is there. */
export interface RelayTrial {
  readonly answered: boolean
  /** Whether the command was run at all, and not something else in its place. */
  readonly wasRun: boolean
  readonly code: number
  /** What the command said, or what was run in its place. */
  readonly words: string
}

/** Asks the engine through a command whether it is there. */
export async function tryRelay(
  transport: Transport,
  socketPath: string,
  as: CommandUser,
  options: ExecOptions,
): Promise<RelayTrial> {
  const { stdin, stdout, stderr, exit } = await startRelay(transport, socketPath, as, options)
  stdin.on('error', () => {}) // the command may end without reading its input
  stdin.end('GET /_ping HTTP/1.0\r\n\r\n')
  const [answer, words, status] = await Promise.all([
    beginningOf(stdout),
    beginningOf(stderr),
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
