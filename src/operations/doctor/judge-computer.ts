import {
  type ComputerCheck,
  type Verdict,
  computerChecks,
  fail,
  listOf,
  ok,
  skip,
  warn,
} from './check.ts'
import { setClock, startAgent } from '../../os/platform-commands.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import type { Problem } from './observation.ts'

/** The mode of a file or directory on this computer. */
type PathMode =
  | { readonly path: string; readonly mode: number; readonly isForeign: boolean }
  | { readonly path: string; readonly missing: boolean }

/** Whether a provider accepts the credentials on this computer. */
export interface ProviderLogin {
  readonly driver: string
  readonly problem?: Problem | undefined
  /** Whether the provider rejected the credentials, or no credentials were found. */
  readonly isLogin?: boolean | undefined
}

/** The result of examining this computer. */
export interface ComputerObservation {
  readonly node: string
  readonly platform: string
  /** fleet's home directory and its directory of keys, which other users must not be able to read. */
  readonly home: readonly PathMode[]
  readonly userHome: PathMode
  /** The number of machines in the inventory, or the reason why it cannot be read. */
  readonly inventory: Problem | { readonly machines: number }
  /** The SSH agent; absent if SSH_AUTH_SOCK is not set. */
  readonly agent?:
    | { readonly socket: string; readonly keys: readonly string[] }
    | { readonly socket: string; readonly problem: string }
    | undefined
  /** The docker CLI; absent if it is not installed. */
  readonly docker?:
    | {
        readonly version?: string | undefined
        readonly compose: string
        readonly context?: string | undefined
        readonly host?: string | undefined
        /** Whether the context refers to a socket that does not exist. */
        readonly isMissing: boolean
      }
    | undefined
  readonly providers: readonly ProviderLogin[]
  readonly broker:
    | 'off'
    | 'stopped'
    | 'retired'
    | Problem
    | { readonly pid: number; readonly connections: number }
  /**
   * The number of seconds by which the hosts' clocks are ahead of this computer's; 0 if they disagree with each other,
   * undefined if there are too few hosts.
   */
  readonly hostsAhead?: number | undefined
}

/** The oldest release of Node.js that fleet supports (`engines` in package.json). */
const oldestNode = [20, 19] as const

function judgeNode({ node }: ComputerObservation): Verdict {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  const [oldMajor, oldMinor] = oldestNode
  const isOld = major < oldMajor || (major === oldMajor && minor < oldMinor)
  if (!isOld) return ok(`Node.js ${node}`)
  return fail(
    `Node.js ${node} is too old: fleet requires ${oldestNode.join('.')} or later`,
    'install a newer Node.js release',
  )
}

function judgeHome({ home, userHome }: ComputerObservation): Verdict {
  const [folder] = home
  for (const one of home) {
    if ('missing' in one) continue
    if (one.isForeign) {
      return fail(
        `fleet's home directory ${one.path} belongs to another user`,
        'set FLEET_HOME to a directory that you own',
      )
    }
    if ((one.mode & 0o077) !== 0) {
      return fail(
        `other users can read fleet's home directory ${one.path} (mode ${one.mode.toString(8)}), which contains login keys`,
        `chmod 700 ${shellQuote(one.path)}`,
      )
    }
  }
  if (!('missing' in userHome) && (userHome.mode & 0o002) !== 0) {
    return warn(
      `everyone can write to your home directory ${userHome.path}`,
      `chmod go-w ${shellQuote(userHome.path)}`,
    )
  }
  return ok(
    folder === undefined || 'missing' in folder
      ? `${folder?.path ?? ''} does not exist yet`
      : `${folder.path} is private`,
  )
}

function judgeInventory({ inventory }: ComputerObservation): Verdict {
  if ('message' in inventory) return fail(inventory.message, inventory.hint ?? 'fleet check')
  const { machines } = inventory
  return ok(`the inventory has ${machines} ${machines === 1 ? 'machine' : 'machines'}`)
}

function judgeAgent({ agent }: ComputerObservation): Verdict {
  if (agent === undefined) return skip('SSH_AUTH_SOCK is not set')
  if ('problem' in agent) {
    return warn(
      `the SSH agent at ${agent.socket} (SSH_AUTH_SOCK) does not answer: ${agent.problem}`,
      startAgent,
    )
  }
  if (agent.keys.length === 0) return ok('the SSH agent has no keys')
  return ok(`the SSH agent has ${agent.keys.length} ${agent.keys.length === 1 ? 'key' : 'keys'}`)
}

function judgeDocker({ docker }: ComputerObservation): Verdict {
  if (docker === undefined)
    return ok('the Docker CLI is not installed; fleet runs docker on the hosts instead')
  const compose = docker.compose === '' ? 'without Compose' : `with Compose ${docker.compose}`
  return ok(`${docker.version ?? 'the Docker CLI'}, ${compose}`)
}

function judgeContext({ docker }: ComputerObservation): Verdict {
  if (docker === undefined) return skip('the Docker CLI is not installed')
  const { context, isMissing } = docker
  const name = context ?? 'default'
  // On a computer without an engine, the socket of the default context does not exist.
  if (isMissing && name !== 'default') {
    return warn(
      `the Docker context ${name} uses a socket that does not exist`,
      'run fleet context sync, or docker context use default',
    )
  }
  return ok(`the current Docker context is ${name}`)
}

function judgeProviders({ providers }: ComputerObservation): Verdict {
  if (providers.length === 0) return skip('no machine uses a provider')
  const bad = providers.find(({ problem }) => problem !== undefined)
  if (bad?.problem === undefined) {
    return ok(`the credentials for ${listOf(providers.map(({ driver }) => driver))} are valid`)
  }
  const { message, hint } = bad.problem
  const verdict = bad.isLogin === true ? fail : warn
  return verdict(`${bad.driver}: ${message}`, hint ?? `check the credentials for ${bad.driver}`)
}

function judgeBroker({ broker }: ComputerObservation): Verdict {
  if (broker === 'off') return skip('the broker is turned off')
  if (broker === 'stopped') return ok('the broker is not running; fleet starts it when needed')
  if (broker === 'retired') return ok('a broker from another version of fleet is stopping')
  if ('message' in broker) return fail(broker.message, broker.hint ?? 'fleet broker stop')
  return ok(
    `the broker is running with ${broker.connections} ${broker.connections === 1 ? 'connection' : 'connections'}`,
  )
}

/** The tolerated difference between this computer's clock and the hosts' clocks, in seconds. */
const clockTolerance = 30

function judgeClock({ hostsAhead }: ComputerObservation): Verdict {
  if (hostsAhead === undefined) return skip('there are too few hosts to check the clock against')
  if (Math.abs(hostsAhead) < clockTolerance) return ok("the clock agrees with the hosts' clocks")
  return fail(
    `this computer's clock is ${Math.abs(Math.round(hostsAhead))} s ${hostsAhead > 0 ? 'behind' : 'ahead of'} the hosts' clocks`,
    setClock,
  )
}

const judges: Readonly<
  Record<ComputerCheck['check'], (observation: ComputerObservation) => Verdict>
> = {
  node: judgeNode,
  home: judgeHome,
  inventory: judgeInventory,
  agent: judgeAgent,
  docker: judgeDocker,
  context: judgeContext,
  providers: judgeProviders,
  broker: judgeBroker,
  clock: judgeClock,
}

/** Judges every check of this computer. */
export const judgeComputer = (observation: ComputerObservation): readonly ComputerCheck[] =>
  computerChecks.map((check) => ({ check, ...judges[check](observation) }))
