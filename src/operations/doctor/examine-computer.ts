import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrokerStatus } from '../../broker/protocol.ts'
import { UserError, codeOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { execProgram } from '../../os/exec-file.ts'
import { findProgram } from '../../os/find-program.ts'
import { type Environment, homeOf } from '../../os/environment.ts'
import { ignored } from '../../os/trace.ts'
import { readAgent } from '../../transport/ssh/login/agent.ts'
import { fingerprint, formatPublicKey } from '../../transport/ssh/host-keys/host-key.ts'
import type { Context } from '../context.ts'
import { problemOf } from './judge-connection.ts'
import type { ComputerObservation, ProviderLogin } from './judge-computer.ts'

/** The time limits for a program, for the SSH agent and for a provider, in milliseconds. */
const [programMs, agentMs, providerMs] = [8_000, 5_000, 20_000]

/** Reads the mode of a path, and whether it belongs to another user. */
async function readMode(path: string) {
  try {
    const { mode, uid } = await stat(path)
    const isForeign = process.getuid !== undefined && uid !== process.getuid()
    const isPosix = process.platform !== 'win32' // Windows uses access control lists instead of modes
    return { path, mode: isPosix ? mode & 0o777 : 0o700, isForeign }
  } catch (error) {
    return { path, missing: codeOf(error) === 'ENOENT' }
  }
}

async function readTheAgent(env: Environment): Promise<ComputerObservation['agent']> {
  const socket = env['SSH_AUTH_SOCK']
  if (!socket) return undefined
  try {
    const keys = await readAgent(socket, AbortSignal.timeout(agentMs))
    return { socket, keys: keys.map(({ blob }) => fingerprint(formatPublicKey(blob))) }
  } catch (error) {
    return { socket, problem: problemOf(error).message }
  }
}

const run = async (program: string, words: readonly string[], env: Environment) =>
  (await execProgram(program, words, { env, timeout: programMs })).stdout.trim()

const note = (what: string) => ignored('docker', `read ${what}`)

/** Reads the versions of the docker CLI and its Compose plugin on this computer, and the current docker context. */
async function readDocker(env: Environment): Promise<ComputerObservation['docker']> {
  const program = await findProgram('docker', env)
  if (program === undefined) return undefined
  const [version, compose, context] = await Promise.all([
    run(program, ['--version'], env).catch(note('the Docker CLI version')),
    run(program, ['compose', 'version', '--short'], env).catch(note('the Docker Compose version')),
    run(program, ['context', 'show'], env).catch(note('the current Docker context')),
  ])
  const endpoint =
    context === undefined
      ? undefined
      : await run(
          program,
          ['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}', context],
          env,
        ).catch(note('the Docker context endpoint'))
  const host = env['DOCKER_HOST'] || endpoint
  const socket = host?.startsWith('unix://') ? host.slice('unix://'.length) : undefined
  const isMissing = socket === undefined ? false : 'missing' in (await readMode(socket))
  return { version, compose: compose ?? '', context, host, isMissing }
}

/** Checks the credentials for the providers of the machines, by querying one machine of each provider. */
async function readProviders(
  context: Context,
  machines: readonly Machine[],
  signal: AbortSignal,
): Promise<readonly ProviderLogin[]> {
  const byDriver = new Map<string, Machine>()
  for (const machine of machines) {
    if (machine.host?.phase !== 'ready' || machine.host.id === undefined) continue
    if (!byDriver.has(machine.driver)) byDriver.set(machine.driver, machine)
  }
  return Promise.all(
    [...byDriver].map(async ([name, machine]): Promise<ProviderLogin> => {
      try {
        const driver = await context.loadDriver(name)
        const { host } = machine
        if (driver.lifecycle === undefined || host === undefined) return { driver: name }
        const limit = AbortSignal.any([signal, AbortSignal.timeout(providerMs)])
        await driver.observe(new Map([[machine.name, host]]), {
          ...{ signal: limit, progress: () => {} },
        })
        return { driver: name }
      } catch (error) {
        signal.throwIfAborted()
        const isLogin = error instanceof UserError && error.kind === 'credentials'
        return { driver: name, problem: problemOf(error), isLogin }
      }
    }),
  )
}

/** Examines this computer. `inventory` has the machines of the inventory, or the error if it cannot be read. */
export async function examineComputer(
  context: Context,
  {
    home,
    inventory,
    broker,
    usesBroker,
    signal,
  }: {
    readonly home: string
    readonly inventory: readonly Machine[] | Error
    readonly broker: BrokerStatus | 'retired' | Error | undefined
    readonly usesBroker: boolean
    readonly signal: AbortSignal
  },
): Promise<ComputerObservation> {
  const { env } = context
  const [folder, keys, userHome, agent, docker, providers] = await Promise.all([
    readMode(home),
    readMode(join(home, 'keys')),
    readMode(homeOf(env)),
    readTheAgent(env),
    readDocker(env),
    readProviders(context, inventory instanceof Error ? [] : inventory, signal),
  ])
  return {
    node: process.versions.node,
    platform: process.platform,
    home: [folder, keys],
    inventory: inventory instanceof Error ? problemOf(inventory) : { machines: inventory.length },
    userHome,
    agent,
    docker,
    providers,
    broker: !usesBroker
      ? 'off'
      : broker === undefined
        ? 'stopped'
        : broker === 'retired'
          ? 'retired'
          : broker instanceof Error
            ? problemOf(broker)
            : { pid: broker.pid, connections: broker.hosts.length },
  }
}
