import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DiskPlan, makeDisk, makeHostKey } from './host-disk.ts'
import {
  type BootPlan,
  type HostSpawnOptions,
  type RunningHost,
  bootHost,
  endHost,
  environment,
  spawnInHost,
} from './host-processes.ts'
import { answersHttp, answersSsh } from './probes.ts'
import {
  type Finished,
  commandOf,
  descendantsOf,
  finish,
  hasEnded,
  signalProcess,
  until,
} from './process.ts'

/** A host of the lab. The methods act on it from outside, never through its SSH server. */
export interface LabHost {
  readonly name: string
  readonly address: string
  readonly port: 22
  readonly user: 'root'
  /** The public host key that the SSH server currently presents: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
  /** The path of the engine's socket, as seen by this process. It changes each time the host is started. */
  readonly engineSocket: string
  /** The path of root's home directory, as seen by the host. */
  readonly home: string
  /** Runs a shell command on the host, as root. */
  exec(command: string, options?: HostSpawnOptions): Promise<Finished>
  /** Starts a program on the host, as root, with piped input and output. Its `kill` signals the program itself. */
  spawn(argv: readonly string[], options?: HostSpawnOptions): ChildProcess
  /** Starts the host and waits until its services answer. */
  start(): Promise<void>
  /** Shuts the host down gracefully. Its disk is kept. */
  stop(): Promise<void>
  /** Kills the host, as if it had lost power. */
  kill(): Promise<void>
  /** Suspends the SSH server and all sessions: the kernel accepts connections, but nothing ever answers. */
  pause(): void
  /** Undoes `pause`. */
  resume(): void
  /** Kills the SSH server and all sessions: connections are refused until `startSshd`. */
  killSshd(): Promise<void>
  /** Starts the SSH server after `killSshd`, and waits until it answers. */
  startSshd(): Promise<void>
  /** Silently drops all packets to and from the host, or stops dropping them. */
  drop(on: boolean): Promise<void>
  /** Creates a new host key and waits until the SSH server presents it. Resolves to the new public key. */
  replaceHostKey(): Promise<string>
}

/** Configuration of a host and its disk. */
export type HostPlan = BootPlan & DiskPlan

/** Creates and starts a host. It is killed at the latest when this process exits. */
export async function startHost(plan: HostPlan): Promise<LabHost> {
  const host = new Host(plan, await makeDisk(plan.folder, plan))
  try {
    await host.start()
  } catch (error) {
    await host.kill()
    throw error
  }
  return host
}

class Host implements LabHost {
  readonly name: string
  readonly address: string
  readonly port = 22
  readonly user = 'root'
  readonly home = environment.HOME
  hostKey: string
  readonly #plan: HostPlan
  #state: RunningHost | undefined

  constructor(plan: HostPlan, hostKey: string) {
    this.name = plan.name
    this.address = plan.address
    this.hostKey = hostKey
    this.#plan = plan
  }

  get #running(): RunningHost {
    if (!this.#state) throw new Error(`${this.name} is not running`)
    return this.#state
  }

  get engineSocket(): string {
    return `/proc/${this.#running.pid}/root/run/docker.sock`
  }

  exec(command: string, options?: HostSpawnOptions): Promise<Finished> {
    const child = this.spawn(['/bin/sh', '-c', command], options)
    child.stdin?.end()
    return finish(child)
  }

  spawn(argv: readonly string[], options?: HostSpawnOptions): ChildProcess {
    return spawnInHost(this.#running, argv, options)
  }

  async start(): Promise<void> {
    if (this.#state) return
    this.#state = await bootHost(this.#plan)
    try {
      await until(`${this.name} to answer`, () => this.#answers(), 600_000)
    } catch (error) {
      throw new Error(`${this.name} did not start:\n${this.#logs()}`, { cause: error })
    }
  }

  async #answers(): Promise<true | undefined> {
    if (hasEnded(this.#running.child)) throw new Error(`${this.name} ended`)
    const hasEngine = this.#plan.engine.length > 0
    const answers =
      (await answersSsh(this.address, this.port)) &&
      (!hasEngine || (await answersHttp({ socketPath: this.engineSocket, path: '/_ping' })))
    return answers || undefined
  }

  #logs(): string {
    return ['init.log', 'log/sshd.log', 'log/dockerd.log']
      .map((name) => join(this.#plan.folder, name))
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, 'utf8').slice(-2000))
      .join('')
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#state
    this.#state = undefined
    if (running) await endHost(running, signal)
  }

  pause(): void {
    this.#signalSshd('SIGSTOP')
  }

  resume(): void {
    this.#signalSshd('SIGCONT')
  }

  #signalSshd(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    for (const pid of descendantsOf(this.#running.pid))
      if (commandOf(pid).startsWith('sshd')) signalProcess(pid, signal)
  }

  async killSshd(): Promise<void> {
    this.#signalSshd('SIGKILL')
    const isDown = async () => !(await answersSsh(this.address, this.port)) || undefined
    await until(`${this.name} to refuse connections`, isDown)
  }

  async startSshd(): Promise<void> {
    await this.exec('/usr/sbin/sshd -E /var/log/sshd.log')
    const isUp = async () => (await answersSsh(this.address, this.port)) || undefined
    await until(`${this.name} to accept connections`, isUp)
  }

  async drop(on: boolean): Promise<void> {
    const change = `iptables -w ${on ? '-I' : '-D'}`
    const { code, stderr } = await this.exec(
      `${change} INPUT -i eth0 -j DROP && ${change} OUTPUT -o eth0 -j DROP`,
    )
    if (code !== 0) throw new Error(`iptables on ${this.name}: ${stderr}`)
  }

  async replaceHostKey(): Promise<string> {
    const running = this.#state
    const etc = running ? `/proc/${running.pid}/root/etc` : join(this.#plan.folder, 'etc')
    this.hostKey = await makeHostKey(etc, this.name)
    if (running) {
      await this.exec('kill -HUP "$(cat /run/sshd.pid)"')
      await until(`${this.name} to show its new key`, async () => {
        const { stdout } = await this.exec('ssh-keyscan -t ed25519 127.0.0.1')
        return stdout.includes(this.hostKey) || undefined
      })
    }
    return this.hostKey
  }
}
