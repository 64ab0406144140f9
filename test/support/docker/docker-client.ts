import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { findMachine } from '../../../src/operations/inventory/choose-machines.ts'
import { runDocker } from '../../../src/operations/docker/run-docker.ts'
import type { Fleet } from '../../../src/app/fleet.ts'
import type { Machine } from '../../../src/machine/machine.ts'
import type { Lab } from '../lab/lab.ts'
import type { Account } from '../lab/accounts.ts'
import { type Operator, makeOperator } from '../operator.ts'

/** The result of a command. */
interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface Options {
  readonly input?: string | Buffer | Readable
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly signal?: AbortSignal
  readonly machine?: string
}

/** A user with a separate home who runs docker on the machines of a lab. */
export interface Seat extends AsyncDisposable {
  readonly fleet: Fleet
  readonly operator: Operator
  /** An initially empty directory: the working directory, and the first directory on PATH. */
  readonly folder: string
  machine(name?: string): Promise<Machine>
  /** Runs docker on a machine (default: the first) and waits until it exits. */
  docker(args: readonly string[], options?: Options): Promise<Answer>
  /** Runs docker as the method `docker` does. Returns the trimmed standard output; throws if docker fails. */
  ok(args: readonly string[], options?: Options): Promise<string>
}

/** For test.each: with and without a docker CLI on the user's PATH. */
export const modes = [
  { mode: 'with a local docker CLI', here: true },
  { mode: 'without a local docker CLI', here: false },
] as const

/**
 * Creates a user with an inventory of a lab's hosts. The machines have the names of the hosts, and the login user
 * `user`.
 */
export async function takeSeat(
  lab: Lab,
  { here, user = 'root' }: { here: boolean; user?: Account },
): Promise<Seat> {
  const folder = await mkdtemp(join(tmpdir(), 'seat-'))
  const machines = lab.hosts.map(({ name, address, port, hostKey }) => [
    name,
    {
      driver: 'ssh',
      options: { address },
      host: { phase: 'ready', address, port, user, hostKeys: [hostKey] },
    },
  ])
  const inventory = { version: 1, id: '0123abcd', machines: Object.fromEntries(machines) }
  const operator = await makeOperator({
    identity: lab.identity.file,
    inventory: JSON.stringify(inventory), // JSON is YAML
  })
  const fleet = operator.open()
  const path = here ? `${folder}:${process.env['PATH']}` : folder
  const [first] = lab.hosts
  const seat: Seat = {
    fleet,
    operator,
    folder,
    machine: async (name = first?.name ?? '') =>
      findMachine(await (await fleet.inventory()).read(), name),
    async docker(args, { input = '', env = {}, cwd = folder, signal, machine } = {}) {
      const stdin = input instanceof Readable ? input : Readable.from([Buffer.from(input)])
      const [stdout, stderr] = [new PassThrough(), new PassThrough()]
      const said = Promise.all([text(stdout), text(stderr)])
      const code = await runDocker(fleet, await seat.machine(machine), args, {
        ...{ stdin, stdout, stderr, cwd, signal: signal ?? new AbortController().signal },
        env: { ...operator.env, PATH: path, ...env },
      }).finally(() => {
        stdout.end()
        stderr.end()
      })
      const [out, err] = await said
      return { code, stdout: out, stderr: err }
    },
    async ok(args, options) {
      const { code, stdout, stderr } = await seat.docker(args, options)
      if (code !== 0) throw new Error(`docker ${args.join(' ')} exited with ${code}: ${stderr}`)
      return stdout.trim()
    },
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]()
      await operator[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return seat
}
