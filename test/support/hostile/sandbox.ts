import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { runCli } from '../../../src/cli/program.ts'
import { UserError } from '../../../src/errors.ts'
import { usersMachine } from './inventories.ts'

/** Effects of a command. */
export interface Effects {
  readonly code: number
  readonly output: string
  /** Processor time, in milliseconds. */
  readonly took: number
  /** Hosts and sockets that were dialed. */
  readonly dialed: readonly string[]
  /** Command lines of programs that were run. */
  readonly ran: readonly string[]
}

/** A simulated computer of a user, on which commands can do no harm and are recorded. */
export interface Sandbox extends AsyncDisposable {
  run(inventory: string, ...words: readonly string[]): Promise<Effects>
  /**
   * Resolves to the paths outside the inventory directory and fleet's own directories, each with data that reveals a
   * change.
   */
  readState(): Promise<readonly string[]>
}

/** Returns a program that logs its arguments and does nothing. VirtualBox has one machine, which is the user's. */
const program = (log: string, name: string): string => `#!/bin/sh
printf '%s\\n' "${name} $*" >>'${log}'
case "${name} $1 $2" in
'VBoxManage --version '*) echo 7.0.20r163906 ;;
'VBoxManage list vms'*) echo '"production" {${usersMachine}}' ;;
'VBoxManage list '*) ;;
'VBoxManage showvminfo ${usersMachine}') printf 'name="production"\\nUUID="${usersMachine}"\\nVMState="running"\\nCfgFile="/nowhere/production.vbox"\\n' ;;
'VBoxManage getextradata ${usersMachine}') echo 'Key: owner, Value: user' ;;
VBoxManage*) echo 'VBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)' >&2; exit 1 ;;
'qemu-'*) echo 'QEMU emulator version 8.2.0' ;;
*) exit 1 ;;
esac
`

const programs =
  'VBoxManage qemu-img qemu-system-x86_64 qemu-system-aarch64 ssh docker az aws git sh bash'.split(
    ' ',
  )

/**
 * Interval of the checks for idleness, in milliseconds, and the number of successive idle checks before a command is
 * stopped.
 */
const [lookMs, mostIdle] = [25, 8]
/** Processor time between two checks below which the command is idle, in microseconds. */
const idleBelow = 2_000

/** Calls `stop`, as Ctrl-C would, once this process does nothing but wait. Returns a function that ends the watch. */
function stopWhenIdle(stop: () => void): () => void {
  let [idle, before] = [0, process.cpuUsage()]
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before)
    before = process.cpuUsage()
    idle = user + system < idleBelow ? idle + 1 : 0
    if (idle === mostIdle) stop()
  }, lookMs)
  return () => clearInterval(timer)
}

/** Resolves to the paths below a directory, each with data that reveals a change. */
async function walk(folder: string, skip: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = []
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name)
    if (skip.has(path)) continue
    const stats = await lstat(path)
    if (stats.isDirectory()) found.push(path, ...(await walk(path, skip)))
    else found.push([path, stats.mtimeMs, stats.size, stats.mode].join(' '))
  }
  return found
}

/** Creates a sandbox. This changes the environment of the process, and prevents its sockets from connecting. */
export async function openSandbox(): Promise<Sandbox> {
  const root = await mkdtemp(join(tmpdir(), 'fleet-hostile-'))
  const [home, folder, bin, log] = ['home', 'work/inventory', 'bin', 'calls'].map((name) =>
    join(root, name),
  ) as [string, string, string, string]
  for (const one of [join(home, '.ssh'), join(home, 'documents'), folder, bin, join(root, 'tmp')]) {
    await mkdir(one, { recursive: true })
  }
  await chmod(home, 0o700)
  await writeFile(join(home, 'documents/thesis.txt'), 'important')
  await writeFile(join(root, 'documents'), 'important')
  await writeFile(join(folder, 'disk.img'), Buffer.alloc(4096))
  await writeFile(log, '')
  for (const name of programs) {
    await writeFile(join(bin, name), program(log, name), { mode: 0o755 })
  }
  const own = { data: join(home, '.local/share/fleet'), cache: join(home, '.cache/fleet') }
  await mkdir(own.data, { recursive: true, mode: 0o700 })
  await mkdir(own.cache, { recursive: true, mode: 0o700 })
  const env = {
    ...{ HOME: home, PATH: `${bin}:/usr/bin:/bin`, TMPDIR: join(root, 'tmp'), FLEET_BROKER: 'off' },
    ...{ AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y', AWS_EC2_METADATA_DISABLED: 'true' },
    ...{ AWS_REGION: 'eu-west-1', AZURE_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000000' },
    ...{ AZURE_TENANT_ID: 'x', AZURE_CLIENT_ID: 'y', AZURE_CLIENT_SECRET: 'z' },
  }
  for (const name of Object.keys(process.env)) {
    if (/^(?:FLEET|AWS|AZURE|XDG|SSH|DOCKER|GIT|VBOX)_|_proxy$/i.test(name))
      delete process.env[name]
  }
  Object.assign(process.env, env)

  const dialled: string[] = []
  // oxlint-disable-next-line typescript/unbound-method -- it is given its socket below
  const connect = Socket.prototype.connect as (this: Socket, ...words: unknown[]) => Socket
  Socket.prototype.connect = function refuse(this: Socket, ...words: unknown[]): Socket {
    const [first] = words.flat() as [{ path?: string; host?: string; port?: number }]
    if (first.path?.startsWith(root)) return Reflect.apply(connect, this, words)
    dialled.push(first.path ?? `${first.host}:${first.port}`)
    const error = Object.assign(new Error('no network here'), { code: 'ENETDOWN' })
    process.nextTick(() => this.destroy(error))
    return this
  }

  return {
    async run(inventory, ...words) {
      await writeFile(join(folder, 'machines.yaml'), inventory)
      await writeFile(log, '')
      dialled.length = 0
      let output = ''
      const sink = () =>
        new Writable({
          write(chunk: Buffer, _encoding, done) {
            if (output.length < 100_000) output += chunk.toString()
            done()
          },
        })
      const controller = new AbortController()
      const watched = stopWhenIdle(() =>
        controller.abort(new UserError('cancelled', 'cancelled', { cause: 'SIGTERM' })),
      )
      const stdin = new PassThrough()
      stdin.end()
      const before = process.cpuUsage()
      const code = await runCli(words, {
        io: {
          stdin,
          stdout: sink(),
          stderr: sink(),
          env: process.env,
          cwd: folder,
          signal: controller.signal,
        },
        version: '0.0.0',
      })
      const { user, system } = process.cpuUsage(before)
      watched()
      const ran = (await readFile(log, 'utf8')).split('\n').filter(Boolean)
      return { code, output, took: (user + system) / 1000, dialed: [...dialled], ran }
    },
    readState: () => walk(root, new Set([own.data, own.cache, folder, log])),
    async [Symbol.asyncDispose]() {
      Socket.prototype.connect = connect
      await rm(root, { recursive: true, force: true })
    },
  }
}
