import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { installDriver, installZod } from '../external-driver/driver-package.ts'
import { type TestUser, makeTestUser } from '../test-user.ts'
import { tokenOf } from '../token-of.ts'
import { type Lab, type LabHost, startLab } from './lab.ts'
import { type LabPower, labDriver, servePower } from './lab-driver.ts'

/** A node as described by `docker node inspect`. */
interface Node {
  readonly ID: string
  readonly Spec: {
    readonly Role: string
    readonly Availability: string
    readonly Labels: Readonly<Record<string, string>>
  }
  readonly Description: {
    readonly Hostname: string
    readonly Engine: { readonly EngineVersion: string }
  }
  readonly Status: { readonly State: string; readonly Addr: string }
  readonly ManagerStatus?: { readonly Reachability: string }
}

/** The labels of machines, keyed by machine name. */
type Labels = Record<string, Readonly<Record<string, string>>>

/** Matches a plan without changes or problems. Records may lack facts about the hosts, which a plan reports. */
export const nothingToDo = {
  code: 0,
  text: expect.not.stringMatching(/fleet apply|attention/) as string,
}

/** Options of a swarm lab. */
interface SwarmLabOptions {
  /** Whether the hosts belong to a driver that can stop, start and remove them. */
  readonly power?: true
  /** The names of the hosts with a newer engine. */
  readonly newerEngines?: readonly string[]
}

/**
 * Hosts with engines, and an inventory in which the machines with the label `role=manager` or `role=web` form a swarm.
 */
export class SwarmLab implements AsyncDisposable {
  readonly lab: Lab
  readonly ana: TestUser
  /** Labels of machines; call `save` after changes. */
  readonly labels: Labels
  /** Additional fields of the swarm, such as `autolock: true`. */
  settings: readonly string[] = []
  /** The ID of the cluster, once it is recorded. */
  id: string | undefined

  readonly #power: LabPower | undefined

  private constructor(lab: Lab, ana: TestUser, labels: Labels, power: LabPower | undefined) {
    this.lab = lab
    this.ana = ana
    this.labels = labels
    this.#power = power
  }

  /** Starts one host for each key of `labels`, which must be h1, h2 and so on. */
  static async start(
    labels: Labels,
    { power, newerEngines = [] }: SwarmLabOptions = {},
  ): Promise<SwarmLab> {
    const hosts = Object.keys(labels).length
    const lab = await startLab({ hosts, engine: true, image: true, newerEngines })
    const ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const served = power && (await servePower(lab.hosts))
    const started = new SwarmLab(lab, ana, labels, served)
    await started.save()
    if (served !== undefined) {
      await installZod(ana.folder)
      await installDriver(ana.folder, 'lab', labDriver(served.port))
      await started.ok('trust add lab --yes')
    }
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ana[Symbol.asyncDispose]()
    this.#power?.[Symbol.dispose]()
    await this.lab[Symbol.asyncDispose]()
  }

  host(name: string): LabHost {
    const host = this.lab.hosts.find((one) => one.name === name)
    if (host === undefined) throw new Error(`there is no host ${name}`)
    return host
  }

  /** Writes the inventory with the current labels. */
  async save(): Promise<void> {
    const file = join(this.ana.folder, 'machines.yaml')
    this.id = /^ +id: ([a-z0-9]{25})$/m.exec(await readFile(file, 'utf8'))?.[1]
    const recorded = this.id === undefined ? [] : [`id: ${this.id}`]
    const fields = [...this.settings, ...recorded].map((field) => `\n    ${field}`).join('')
    const hosts = this.lab.hosts.filter(({ name }) => name in this.labels)
    const machines = hosts.map(({ name, address, hostKey }) => {
      const record = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
      const own =
        this.#power === undefined
          ? { driver: 'ssh', options: { address }, host: record }
          : { driver: 'lab', host: { ...record, id: name, token: tokenOf(name) } }
      return `  ${name}: ${JSON.stringify({ labels: this.labels[name], ...own })}\n`
    })
    const text = `version: 1
id: 0123abcd
swarms:
  prod:
    managers: role=manager
    workers: role=web # the shop${fields}
machines:
${machines.join('')}`
    await writeFile(file, text)
  }

  /** Runs a fleet command that must succeed. Resolves to its output. */
  async ok(line: string, who = this.ana): Promise<string> {
    const { code, stdout, stderr } = await who.fleet(line.split(' '))
    expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' })
    return stdout + stderr
  }

  async plan(who = this.ana): Promise<{ readonly code: number; readonly text: string }> {
    const { code, stdout, stderr } = await who.fleet(['plan', '--timeout', '60'])
    return { code, text: stdout + stderr }
  }

  /** Applies changes, and kills the program with SIGKILL when a step starts. Resolves to whether the step started. */
  async applyUntil(step: string): Promise<boolean> {
    let isKilled = false
    await this.ana.fleet(['apply', '--yes', '--json', '--timeout', '60'], {
      said: (stderr, pid) => {
        if (isKilled || !stderr.includes(`"step":"${step}"`)) return
        isKilled = true
        process.kill(pid, 'SIGKILL')
      },
    })
    return isKilled
  }

  /** Resolves to the output of a shell command on a host. */
  async on(name: string, command: string): Promise<string> {
    return (await this.host(name).exec(command)).stdout.trim()
  }

  /** Resolves to the nodes listed by a manager, keyed by host name. Fails if a host has two nodes. */
  async nodes(manager = 'h1'): Promise<Record<string, Node>> {
    const text = await this.on(manager, 'docker node ls -q | xargs docker node inspect')
    const nodes = JSON.parse(text) as Node[]
    const named = Object.fromEntries(nodes.map((node) => [node.Description.Hostname, node]))
    expect(Object.keys(named)).toHaveLength(nodes.length)
    return named
  }
}
