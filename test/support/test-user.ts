import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Result of a command of the built program. */
interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Called with the PID once the program is running. */
  readonly started?: (pid: number) => void
  /** Called with all of stderr so far, each time there is more. */
  readonly said?: (stderr: string, pid: number) => void
}

/** Input to type once the screen shows `at`, after `pause` seconds (default 0.1) and after resizing to `size`. */
interface Typing {
  readonly at: string
  readonly type: string
  readonly size?: readonly [rows: number, columns: number]
  readonly pause?: number
}

/** Output of a terminal, and the exit code of the program on it. */
interface Screen {
  readonly code: number
  readonly screen: string
}

/** A user with a home directory, SSH keys, fleet's private files, and a working directory. */
export interface TestUser extends AsyncDisposable {
  readonly home: string
  /** The directory of the inventory. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  /** A directory that contains only Node.js, to use as PATH. */
  readonly nodeOnly: string
  /** Runs the built fleet, and waits until it exits. */
  fleet(args: readonly string[], options?: RunOptions): Promise<Answer>
  /** Runs the built fleet on a terminal, where each `type` is typed when the output contains `at`. */
  fleetOnTerminal(
    args: readonly string[],
    typing: readonly Typing[],
    options?: Pick<RunOptions, 'env'>,
  ): Promise<Screen>
  /** Runs any program on a terminal, as `fleetOnTerminal` does with fleet. */
  onTerminal(
    argv: readonly string[],
    typing: readonly Typing[],
    options?: Pick<RunOptions, 'env'>,
  ): Promise<Screen>
  inventory(): Promise<string>
}

export const program = join(import.meta.dirname, '../../dist/main.js')
/** Cached compiled code of this checkout's builds, shared by all users of all runs. */
const sharedCode = join(import.meta.dirname, '../../node_modules/.cache/fleet-code')
const terminalScript = join(import.meta.dirname, 'process/terminal.py')

async function collect(
  command: string,
  args: readonly string[],
  { env, cwd, input = '', started, said }: RunOptions,
): Promise<Answer> {
  const child = spawn(command, args, { env, ...(cwd && { cwd }) })
  if (child.pid !== undefined) started?.(child.pid)
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    err.push(chunk)
    if (child.pid !== undefined) said?.(Buffer.concat(err).toString(), child.pid)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? -1 : -2)))
  })
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
}

/**
 * Creates a user with the SSH key in `identity` as the default key, and an empty inventory. Without a terminal, fleet
 * does not prompt, except in `fleetOnTerminal`. With `broker`, connections are kept between commands; otherwise every
 * command opens its own. The compiled code of commands is shared with other users, which saves up to a third of the
 * processor time of first commands, unless `ownCode` is set. With `client`, logins use that SSH client.
 */
export async function makeTestUser({
  identity,
  broker = false,
  ownCode = false,
  client = process.env['FLEET_SSH'], // FLEET_SSH=openssh npm test -- FILE runs a test file with the other client
}: {
  identity?: string
  broker?: boolean
  ownCode?: boolean
  client?: string | undefined
} = {}): Promise<TestUser> {
  const root = await mkdtemp(join(tmpdir(), 'fleet-user-'))
  const home = join(root, 'home')
  const folder = join(root, 'work')
  await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 })
  await mkdir(folder)
  if (identity !== undefined) await cp(identity, join(home, '.ssh/id_ed25519'))
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    USER: 'root',
    FLEET_HOME: join(home, 'fleet'),
    TMPDIR: tmpdir(),
    LANG: 'C.UTF-8',
    ...(!broker && { FLEET_BROKER: 'off' }),
    ...(client && { FLEET_SSH: client }),
  }
  if (!ownCode) {
    await mkdir(sharedCode, { recursive: true, mode: 0o700 })
    await mkdir(join(env.FLEET_HOME, 'cache'), { recursive: true, mode: 0o700 })
    await symlink(sharedCode, join(env.FLEET_HOME, 'cache/code'))
  }
  const nodeOnly = join(root, 'node-only')
  await mkdir(nodeOnly)
  await symlink(process.execPath, join(nodeOnly, 'node'))
  /** Returns the environment with this test's Node.js in PATH, in addition to other directories. */
  const withNode = (more: RunOptions['env']) => ({
    ...{ ...env, ...more },
    PATH: `${more?.['PATH'] ?? env.PATH}:${nodeOnly}`,
  })
  const user: TestUser = {
    home,
    folder,
    env,
    nodeOnly,
    fleet: (args, { env: more, cwd = folder, ...options } = {}) =>
      collect(program, args, { ...options, cwd, env: withNode(more) }),
    fleetOnTerminal: (args, typing, options) =>
      user.onTerminal([program, ...args], typing, options),
    async onTerminal(argv, typing, { env: more } = {}) {
      const { code, stdout } = await collect('/usr/bin/python3', [terminalScript, ...argv], {
        cwd: folder,
        env: { ...withNode(more), TERM: 'xterm' },
        input: JSON.stringify(typing),
      })
      return { code, screen: stdout }
    },
    inventory: () => readFile(join(folder, 'machines.yaml'), 'utf8'),
    async [Symbol.asyncDispose]() {
      if (broker) await user.fleet(['broker', 'stop'])
      // Just before it exits, a broker writes the code that it has compiled.
      await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
  await writeFile(join(folder, 'machines.yaml'), 'version: 1\nid: 0123abcd\nmachines: {}\n')
  return user
}
