import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../../errors.ts'
import { signalGroup } from '../../os/signal-group.ts'
import { trace } from '../../os/trace.ts'
import { startProxyCommand } from '../ssh/proxy-command.ts'
import type { Prompt, SshTarget } from '../ssh/connect.ts'
import type { KnownHostKey } from '../ssh/host-keys/known-hosts.ts'
import { type GuardedAgent, serveGuardedAgent } from './guarded-agent.ts'
import { createFolder, sharedSocket } from './folder.ts'
import { type LoginLog, readLogin } from './login-log.ts'
import { type SharedConnection, joinConnection } from './multiplex.ts'
import { formatPinnedKeys, masterArguments } from './options.ts'
import { type SshProgram, isSince, pathOf } from './program.ts'
import { answerQuestions } from './questions.ts'
import { type Relay, serveRelay } from './relay.ts'
import { poll } from '../../os/retry.ts'

/** How long ssh may take to exit when it is asked to, in milliseconds. */
const endMs = 2_000
/** How long to wait, after ssh has exited, for output from programs that ssh started, in milliseconds. */
const lastWordsMs = 200
/** How often to check whether ssh is sharing its connection yet, in milliseconds. */
const pollMs = 4

/** Options for starting ssh. */
export interface MasterOptions {
  readonly program: SshProgram
  readonly env: Readonly<Record<string, string | undefined>>
  readonly prompt: Prompt | undefined
  readonly revoked: readonly KnownHostKey[]
  /** The socket of the agent that commands may use; undefined if there is none. */
  readonly agent: string | undefined
  readonly configFile: readonly string[]
  readonly connectTimeoutMs: number
  /** Called once the host has sent its SSH version. */
  readonly greeted: () => void
  readonly signal: AbortSignal
}

/**
 * An ssh process that has logged in and shares its connection. Disposing of it ends the process and removes its files.
 */
export interface Master extends SharedConnection, AsyncDisposable {
  /** The directory that contains the files of the process. */
  readonly folder: string
  /** Resolves when the process has exited. */
  readonly ended: Promise<void>
  /** The fingerprint of the key that the host accepted; undefined if the login did not use a key. */
  readonly acceptedKey: string | undefined
  readonly agent: GuardedAgent | undefined
  /** The last lines that the process printed, without progress messages. */
  readonly words: readonly string[]
}

/** Internal: ssh exited before it had logged in, or the login was aborted. */
export class MasterFailed extends Error {
  readonly log: LoginLog
  /** The error of the connection that fleet opens for ssh (see {@link Relay}), if that connection failed. */
  readonly relayFailure: unknown
  constructor(log: LoginLog, relayFailure: unknown, cause?: unknown) {
    super('ssh could not log in', { cause })
    this.log = log
    this.relayFailure = relayFailure
  }
}

/**
 * A shell script that runs ssh in a separate process group. When its standard input ends, as it does when fleet is
 * killed, the group is terminated and the directory of the connection, the first argument, is removed.
 */
const supervisor = `
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- >/dev/null &
ssh=$!
exec 2>/dev/null
( read -r _ <&3; rm -rf "$folder"; kill -TERM 0 ) >/dev/null &
watcher=$!
exec 3<&-
wait "$ssh"; code=$?
kill "$watcher"
exit "$code"
`

/** Environment variables that are not passed to ssh or to the programs that it starts. */
const withheld = new Set([
  ...['NODE_OPTIONS', 'SSH_ASKPASS', 'SSH_ASKPASS_REQUIRE', 'SSH_ASKPASS_PROMPT'],
  ...['LC_ALL', 'LANGUAGE'],
])

function environmentFor(
  { env }: MasterOptions,
  isRelayed: boolean,
  questions: Readonly<Record<string, string>> | undefined,
): NodeJS.ProcessEnv {
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !withheld.has(name)))
  return {
    ...own,
    PATH: pathOf(env),
    LC_MESSAGES: 'C', // fleet parses the messages
    ...(isRelayed && { SHELL: '/bin/sh' }), // the relay's command is quoted for this shell
    ...(questions && { DISPLAY: own['DISPLAY'] ?? ':', ...questions }), // ssh before 8.4 asks only if DISPLAY is set
  }
}

/** Waits until ssh is sharing its connection. Rejects if ssh exits first. */
async function joinOnceShared(
  socket: string,
  log: LoginLog,
  hasEnded: () => boolean,
  signal: AbortSignal,
): Promise<SharedConnection> {
  const check = async (): Promise<SharedConnection | undefined> => {
    signal.throwIfAborted()
    if (hasEnded()) throw new Error('ssh has exited')
    if (!log.isLoggedIn()) return undefined
    return joinConnection(socket).catch(() => undefined) // ssh is not listening yet
  }
  return poll(check, { signal, pauseMs: pollMs })
}

function start(words: readonly string[], folder: string, env: NodeJS.ProcessEnv): ChildProcess {
  return spawn('/bin/sh', ['-c', supervisor, 'fleet-ssh', folder, 'ssh', ...words], {
    cwd: '/',
    detached: true, // without a terminal, ssh asks through SSH_ASKPASS, and Ctrl-C does not reach it
    env,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
}

/** The maximum length of a line, in characters: the host decides how long its banner is. */
const longestLine = 8_192

/** Calls `take` for each line of a stream. A line that is too long is split. */
function readLines(stream: Readable, take: (line: string) => void): void {
  let rest = ''
  const read = (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
    if (rest.length <= longestLine) return
    take(rest)
    rest = ''
  }
  stream
    .setEncoding('utf8')
    .on('data', read)
    .once('close', () => rest !== '' && take(rest))
}

/**
 * Resolves when ssh has exited, its last output has been read, and the programs that it started have been sent SIGTERM.
 */
async function untilEnded(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close').catch(() => {}) // ssh could not be started
  await Promise.race([closed, once(child, 'exit').catch(() => {})])
  if (child.pid !== undefined) signalGroup(child.pid, 'SIGTERM')
  await Promise.race([closed, sleep(lastWordsMs, undefined, { ref: false })])
  await immediate() // on a busy computer, the time limit can expire before available output has been read
  child.stderr?.destroy() // a background process of ProxyCommand may keep the stream open
}

/**
 * Returns the function with which fleet itself connects to the host on ssh's behalf: through a jump host, or with a
 * driver's program. Returns undefined if ssh connects to the host itself.
 */
function dialOf(
  { via, address: host, port, proxyCommand, alias }: SshTarget,
  env: MasterOptions['env'],
): (() => Promise<Duplex>) | undefined {
  if (via) return () => via.dial({ host, port })
  if (proxyCommand === undefined || alias !== undefined) return undefined // ssh reads its own configuration
  return async () => startProxyCommand(proxyCommand, env)
}

/** Starts ssh and waits until it has logged in. On failure, removes all files and rejects with {@link MasterFailed}. */
export async function startMaster(target: SshTarget, options: MasterOptions): Promise<Master> {
  const { program, prompt, revoked, configFile, connectTimeoutMs, signal } = options
  const folder = await createFolder()
  const cleanups: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })]
  const dispose = async () => {
    for (let next = cleanups.pop(); next !== undefined; next = cleanups.pop()) await next()
  }
  const log = readLogin(options.greeted)
  let relay: Relay | undefined
  try {
    const [socket, knownHosts] = [join(folder, sharedSocket), join(folder, 'known_hosts')]
    await writeFile(knownHosts, formatPinnedKeys(target, revoked), { mode: 0o600 })
    const open = dialOf(target, options.env)
    relay = open && (await serveRelay(folder, open))
    const questions = prompt && (await answerQuestions(folder, prompt))
    // Before OpenSSH 8.2, ForwardAgent can only be yes or no, and with yes, the host could use the agent at any time.
    const canForward = options.agent !== undefined && isSince(program, 8, 2)
    const agent = canForward ? await serveGuardedAgent(folder, options.agent) : undefined
    cleanups.push(async () => {
      for (const one of [relay, questions, agent]) await one?.[Symbol.asyncDispose]()
    })
    const words = masterArguments(
      target,
      { socket, knownHosts, proxyCommand: relay?.proxyCommand, agent: agent?.path },
      { program, canAsk: prompt !== undefined, connectTimeoutMs, configFile },
    )
    trace('ssh', `start ssh for ${target.user}@${target.address}:${target.port}`)
    const child = start(words, folder, environmentFor(options, relay !== undefined, questions?.env))
    readLines(child.stderr as Readable, (line) => {
      trace('ssh', `ssh: ${line}`)
      log.add(line)
    })
    let hasEnded = false
    const ended = untilEnded(child).then(() => void (hasEnded = true))
    child.stdin?.on('error', () => {})
    cleanups.push(async () => {
      child.stdin?.end()
      await Promise.race([ended, sleep(endMs, undefined, { ref: false })])
      if (!hasEnded && child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
    })
    const joined = await joinOnceShared(socket, log, () => hasEnded, signal)
    cleanups.push(() => joined.stream.destroy())
    return {
      ...joined,
      ...{ folder, agent },
      ended,
      words: log.words,
      acceptedKey: log.acceptedKey(),
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    if (error instanceof UserError) throw error
    throw new MasterFailed(log, relay?.failure(), error)
  }
}
