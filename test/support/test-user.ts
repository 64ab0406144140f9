import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How one command of the built program went. */
interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Called with the process id once it runs. */
  readonly started?: (pid: number) => void
  /** Called with all that stderr has so far, each time that there is more. */
  readonly said?: (stderr: string, pid: number) => void
}

/** What a person types on a terminal once the screen shows `at`; `size` is what its window becomes before, `pause` how many seconds the person thinks. */
interface Typing {
  readonly at: string
  readonly type: string
  readonly size?: readonly [rows: number, columns: number]
  readonly pause?: number
}

/** What a terminal showed, and how the program on it ended. */
interface Screen {
  readonly code: number
  readonly screen: string
}

/** Somebody at a computer of their own: a home with SSH keys, fleet's private files, and a working folder. */
export interface Person extends AsyncDisposable {
  readonly home: string
  /** Where the inventory is. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  /** A folder with Node.js and no other program, for a PATH. */
  readonly nodeOnly: string
  /** Runs the built fleet and waits for its end. */
  fleet(args: readonly string[], options?: RunOptions): Promise<Answer>
  /** Runs it on a terminal of its own, which types `input` when the output matches `at`. */
  fleetOnTerminal(
    args: readonly string[],
    typing: readonly Typing[],
    options?: Pick<RunOptions, 'env'>,
  ): Promise<Screen>
  /** Runs any program on a terminal, as `fleetOnTerminal` does. */
  onTerminal(
    argv: readonly string[],
    typing: readonly Typing[],
    options?: Pick<RunOptions, 'env'>,
  ): Promise<Screen>
  inventory(): Promise<string>
}

export const program = join(import.meta.dirname, '../../dist/main.js')
/** Compiled code of this checkout's builds, for all persons of all runs. */
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
 * Makes a person, with the SSH key in `identity` as their own default key and an empty inventory.
 * Their fleet asks for no prompt, since it has no terminal, unless run by `fleetOnTerminal`. With `broker` it
 * keeps connections from one command to the next, else every command makes its own. The compiled code of commands is
 * shared with other persons, which spares their first commands up to a third of the processor time, unless `ownCode`.
 * With `client` they log in with that SSH client.
 */
export async function makePerson({
  identity,
  broker = false,
  ownCode = false,
  client = process.env['FLEET_SSH'], // FLEET_SSH=openssh npm test -- FILE runs a file over the other client
}: {
  identity?: string
  broker?: boolean
  ownCode?: boolean
  client?: string | undefined
} = {}): Promise<Person> {
  const root = await mkdtemp(join(tmpdir(), 'fleet-person-'))
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
  /** The environment with this test's Node.js on the PATH, whatever else is there. */
  const withNode = (more: RunOptions['env']) => ({
    ...{ ...env, ...more },
    PATH: `${more?.['PATH'] ?? env.PATH}:${nodeOnly}`,
  })
  const person: Person = {
    home,
    folder,
    env,
    nodeOnly,
    fleet: (args, { env: more, cwd = folder, ...options } = {}) =>
      collect(program, args, { ...options, cwd, env: withNode(more) }),
    fleetOnTerminal: (args, typing, options) =>
      person.onTerminal([program, ...args], typing, options),
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
      if (broker) await person.fleet(['broker', 'stop'])
      // A broker that ends writes what it has compiled at its very last.
      await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
  await writeFile(join(folder, 'machines.yaml'), 'version: 1\nid: 0123abcd\nmachines: {}\n')
  return person
}
