import { appendFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { serveManyInstances } from '../test/support/aws/ec2/many-instances.ts'
import { onlyOn, startQuietFleet } from '../test/support/in-process/quiet-fleet.ts'
import { openTerminal } from '../test/support/process/live-terminal.ts'
import { figuresOf } from '../test/support/process/process-figures.ts'
import { countProcess, processorTimeOf } from './processor.ts'
import { program } from '../test/support/test-user.ts'
import {
  type Ground,
  makeFile,
  makeImage,
  makeSmallFiles,
  type prepareGround,
  writeInventory,
  writeRoutes,
} from './ground.ts'
import type { Run } from './measure.ts'

/** A task that fleet and its peers perform. */
export interface Case {
  readonly work: string
  readonly fleet: Run
  readonly peers: readonly Peer[]
}

interface Peer extends Run {
  readonly name: string
  /** The target: the maximum allowed value of fleet's time divided by the peer's time. Absent if there is no target. */
  readonly wanted?: number
  /** An allowance added to the peer's time, in milliseconds. */
  readonly plusMs?: number
}

type Words = readonly [string, ...string[]]

/** Returns functions that create command lines of fleet and its peers for the hosts and user of a {@link Ground}. */
function commandsOn({ user, env }: Ground) {
  const fleet = (...args: string[]): Run => ({
    argv: [program, ...args],
    env: { ...user.env, FLEET_INVENTORY: join(user.folder, 'machines.yaml') },
  })
  const peer = (argv: Words, name = argv.join(' ')): Peer => ({ name, argv, env })
  const node: Words = [execPath, '-e', '0']
  const withoutBroker = (...args: string[]): Run => {
    const run = fleet(...args)
    return { ...run, env: { ...run.env, FLEET_BROKER: 'off' } }
  }
  return { fleet, withoutBroker, peer, bareNode: peer(node, 'node -e 0') }
}

/** The start-up time of fleet. */
function startUp(ground: Ground): Case[] {
  const { fleet, bareNode } = commandsOn(ground)
  return [
    { work: 'fleet --version', fleet: fleet('--version'), peers: [{ ...bareNode, wanted: 1.3 }] },
    { work: 'fleet --help', fleet: fleet('--help'), peers: [bareNode] },
  ]
}

/** Reading inventories. */
async function listing(ground: Ground): Promise<Case[]> {
  const { fleet, bareNode } = commandsOn(ground)
  const list = (file: string): Run => fleet('--inventory', file, 'ls')
  const ten = list(await writeInventory(ground, 10))
  const thousand = list(await writeInventory(ground, 1_000))
  const tenThousand = list(await writeInventory(ground, 10_000))
  const name = 'fleet ls, 10 machines'
  return [
    { work: name, fleet: ten, peers: [bareNode] },
    {
      work: 'fleet ls, 1,000 machines',
      fleet: thousand,
      peers: [{ ...ten, name, wanted: 1.5 }],
    },
    {
      work: 'fleet ls, 10,000 machines',
      fleet: tenThousand,
      peers: [{ ...ten, name, wanted: 2.5 }],
    },
  ]
}

/** Planning for hosts in three regions of an EC2 test double, which responds without delay. */
async function planning(ground: Ground): Promise<Case[]> {
  const { fleet } = commandsOn(ground)
  const planFor = async (count: number): Promise<Peer> => {
    const ec2 = await serveManyInstances(count)
    const file = join(ground.user.folder, `${count}-on-aws.yaml`)
    await writeFile(file, ec2.inventory)
    const run = fleet('--inventory', file, 'plan', '--skip-hosts')
    const name = `fleet plan, ${count} machines on AWS`
    return { ...run, env: { ...run.env, ...ec2.environment }, name }
  }
  const thousand = await planFor(1000)
  return [{ work: thousand.name, fleet: thousand, peers: [await planFor(3)] }]
}

/** Commands on one host, without an open connection. */
function coldHost(ground: Ground): Case[] {
  const { fleet, withoutBroker, peer } = commandsOn(ground)
  return [
    {
      work: 'fleet ps, cold',
      fleet: withoutBroker('-m', 'h1', 'ps'),
      peers: [
        { ...peer(['docker', '-H', 'ssh://root@h1', 'ps']), wanted: 0.7 },
        peer(['docker', '-H', 'ssh://root@h1.fast', 'ps']),
        peer(['ssh', 'h1', 'docker', 'ps']),
        peer(['ssh', 'h1.fast', 'docker', 'ps']),
      ],
    },
    {
      work: 'fleet ps, cold, starts broker',
      fleet: { ...fleet('-m', 'h1', 'ps'), prepare: () => ground.user.fleet(['broker', 'stop']) },
      peers: [peer(['docker', '-H', 'ssh://root@h1', 'ps'])],
    },
    {
      work: 'fleet exec app true, cold',
      fleet: withoutBroker('-m', 'h1', 'exec', 'app', 'true'),
      peers: [
        peer(['docker', '-H', 'ssh://root@h1', 'exec', 'app', 'true']),
        peer(['docker', '-H', 'ssh://root@h1.fast', 'exec', 'app', 'true']),
      ],
    },
    {
      work: 'fleet ssh h1 true, cold',
      fleet: withoutBroker('ssh', 'h1', 'true'),
      peers: [peer(['ssh', 'h1', 'true']), peer(['ssh', 'h1.fast', 'true'])],
    },
  ]
}

/** How each machine of {@link writeRoutes} is connected, as displayed in the results. */
const routeNames = {
  jumped: 'through a jump host',
  proxied: 'through a ProxyCommand',
  openssh: 'over the client openssh',
} as const

/** Commands on one host, over a connection that a previous command left open. */
async function warmHost(ground: Ground): Promise<Case[]> {
  const { fleet, peer } = commandsOn(ground)
  const routes = await writeRoutes(ground)
  const through = (name: string): Run => {
    const run = fleet('-m', name, 'ps')
    return { ...run, env: { ...run.env, FLEET_INVENTORY: routes } }
  }
  const fresh = { ...peer(['docker', '-H', 'ssh://root@h1', 'ps']), wanted: 0.2 }
  const { stdout } = await ground.user.fleet(['env', 'h1', '--shell', 'bash'], {
    started: countProcess, // it starts the broker that the commands below use
  })
  const socket = /DOCKER_HOST='?([^'\n;]+)/.exec(stdout)?.[1] ?? ''
  const throughSocket = peer(['docker', 'ps'])
  return [
    {
      work: 'fleet ps, warm',
      fleet: fleet('-m', 'h1', 'ps'),
      peers: [
        fresh,
        { ...peer(['docker', '-H', 'ssh://root@h1.warm', 'ps']), wanted: 1 },
        peer(['ssh', 'h1.warm', 'docker', 'ps']),
      ],
    },
    ...(['jumped', 'proxied', 'openssh'] as const).map((name) => ({
      work: `fleet ps, warm, ${routeNames[name]}`,
      fleet: through(name),
      peers: [{ ...through('direct'), name: 'fleet ps, warm, and 2 ms', plusMs: 2, wanted: 1 }],
    })),
    {
      work: 'docker ps through fleet env',
      fleet: { ...throughSocket, env: { ...throughSocket.env, DOCKER_HOST: socket } },
      peers: [fresh],
    },
    {
      work: 'fleet exec app true, warm',
      fleet: fleet('-m', 'h1', 'exec', 'app', 'true'),
      peers: [{ ...peer(['ssh', 'h1.warm', 'docker', 'exec', 'app', 'true']), wanted: 1.5 }],
    },
    {
      work: 'fleet ssh h1 true, warm',
      fleet: fleet('ssh', 'h1', 'true'),
      peers: [{ ...peer(['ssh', 'h1.warm', 'true']), wanted: 1.5 }],
    },
  ]
}

/** The round-trip times of the distant hosts, in milliseconds. */
const roundTrips = [50, 200]

/** Commands on one distant host. */
function farHost(ground: Ground): Case[] {
  const { fleet, withoutBroker, peer } = commandsOn(ground)
  return roundTrips.flatMap((ms): Case[] => {
    const far = `d${ms}`
    return [
      {
        work: `fleet ps, cold, ${ms} ms away`,
        fleet: withoutBroker('-m', far, 'ps'),
        peers: [peer(['docker', '-H', `ssh://root@${far}`, 'ps'])],
      },
      {
        work: `fleet ps, warm, ${ms} ms away`,
        fleet: fleet('-m', far, 'ps'),
        peers: [
          peer(['docker', '-H', `ssh://root@${far}`, 'ps']),
          peer(['docker', '-H', `ssh://root@${far}.warm`, 'ps']),
          {
            ...{ ...fleet('-m', 'h1', 'ps'), name: 'fleet ps, warm, near, and 1.2 round trips' },
            ...{ plusMs: 1.2 * ms, wanted: 1 },
          },
        ],
      },
    ]
  })
}

/** One command on all hosts in parallel. */
function manyHosts(ground: Ground): Case[] {
  const { fleet, withoutBroker, peer } = commandsOn(ground)
  const { folder } = ground.user
  const onAll = ['ssh', '--all', '--parallel', '64', '--fold', '--', 'true'] as const
  const hosts = `${ground.machines.length} hosts`
  const peersOn = (suffix: string, wanted: number): Peer[] => {
    const list = join(folder, `hosts${suffix}`)
    const ssh = join(folder, 'bin/ssh')
    const named = (words: Words, name: string) => ({ ...peer(words, name), wanted })
    return [
      named(
        ['xargs', '-a', list, '-P', '64', '-I{}', 'ssh', '{}', 'true'],
        `xargs -P 64 ssh, hosts${suffix}`,
      ),
      named(
        [
          'parallel-ssh',
          '-h',
          list,
          '-p',
          '64',
          '-t',
          '60',
          '-x',
          `-F ${ground.sshConfig}`,
          'true',
        ],
        `parallel-ssh -p 64, hosts${suffix}`,
      ),
      named(
        ['clush', '--hostfile', list, '-f', '64', '-o', `-F ${ground.sshConfig}`, 'true'],
        `clush -f 64, hosts${suffix}`,
      ),
      named(
        [
          ...(['ansible', 'all', '-i', list, '-m', 'raw', '-a', 'true', '-f', '50'] as const),
          ...['-e', `ansible_ssh_executable=${ssh} ansible_ssh_args=''`],
        ],
        `ansible -m raw -f 50, hosts${suffix}`,
      ),
    ]
  }
  return [
    {
      work: `one command, ${hosts}, cold`,
      fleet: withoutBroker(...onAll),
      peers: [...peersOn('', 1), ...peersOn('.fast', 1)],
    },
    { work: `one command, ${hosts}, warm`, fleet: fleet(...onAll), peers: peersOn('.warm', 0.3) },
  ]
}

/** The plan of a stack that is deployed on all hosts, over open connections. */
async function stackPlan(ground: Ground): Promise<Case[]> {
  const { fleet } = commandsOn(ground)
  const { folder, home } = ground.user
  const { 'docker-compose': plugin } = JSON.parse(
    process.env['FLEET_DOCKER_PLUGINS'] ?? '{}',
  ) as Readonly<Partial<Record<string, string>>>
  if (plugin === undefined) throw new Error('docker compose cannot be had here')
  const plugins = join(home, '.docker/cli-plugins')
  await mkdir(plugins, { recursive: true })
  await symlink(plugin, join(plugins, 'docker-compose'))
  await mkdir(join(folder, 'shop'))
  await writeFile(
    join(folder, 'shop/compose.yaml'),
    'services: { web: { image: "bb:1", command: sleep 1000000, stop_grace_period: 0s } }\n',
  )
  await appendFile(
    join(folder, 'machines.yaml'),
    'stacks: { shop: { compose: shop/compose.yaml, on: all, batch: 8 } }\n',
  )
  const { code, stderr } = await ground.user.fleet(['deploy', '--yes'], {
    started: countProcess, // includes the broker that it starts
  })
  if (code !== 0) throw new Error(stderr)
  const list = fleet('ps', '--all')
  const hosts = `${ground.machines.length} hosts`
  return [
    {
      work: `plan of a stack, ${hosts}, warm`,
      fleet: fleet('deploy', 'shop'),
      peers: [{ ...list, name: `fleet ps --all, ${hosts}, warm`, wanted: 2 }],
    },
  ]
}

/** The number of hosts in the dashboard, and of containers on each host. */
const [quietHosts, quietContainers] = [100, 20]

/** The inventory of the hosts that {@link dashboard} starts. */
const quietInventory = ({ user }: Ground): string => join(user.folder, 'quiet.yaml')

/** The dashboard, and the search for a container, with open connections to all hosts, which this process simulates. */
async function dashboard(ground: Ground): Promise<Case[]> {
  const { fleet, bareNode } = commandsOn(ground)
  const { user, owned } = ground
  const quiet = await startQuietFleet(quietHosts, quietContainers)
  owned.push(quiet)
  const file = quietInventory(ground)
  await writeFile(file, quiet.inventory)
  const { code, stderr } = await user.fleet(['--inventory', file, 'ps', '--all'], {
    started: countProcess, // includes the broker that it starts
  })
  if (code !== 0) throw new Error(stderr)
  const on = (...args: string[]): Run => fleet('--inventory', file, ...args)
  const relay = join(import.meta.dirname, '../test/support/process/pty_relay.py')
  const keys = join(user.folder, 'keys')
  await writeFile(keys, '{"type": "q"}\n')
  /** Runs a command on a terminal where q has already been typed, so that the dashboard exits after its first frame. */
  const onTerminal = ({ argv, env }: Run): Run => ({
    argv: ['sh', '-c', `exec python3 "$0" 24 140 "$@" <'${keys}'`, relay, ...argv],
    env: { ...env, TERM: 'xterm-256color', LANG: 'C.UTF-8' },
  })
  const name = onlyOn(quietHosts)
  return [
    {
      work: 'fleet top, first picture, warm',
      fleet: onTerminal(on('top')),
      peers: [{ ...onTerminal(bareNode), name: 'node -e 0, and 150 ms', plusMs: 150, wanted: 1 }],
    },
    {
      work: `fleet exec --find, ${quietHosts} hosts, warm`,
      fleet: on('exec', '--find', name, 'true'),
      peers: [
        {
          ...on('-m', `host-${quietHosts}`, 'exec', name, 'true'),
          ...{ name: 'fleet exec, 1 host, warm, and 300 ms', plusMs: 300, wanted: 1 },
        },
      ],
    },
  ]
}

/** How long the dashboard is idle before and during the measurement, in milliseconds. */
const [settleMs, idleMs] = [8_000, 20_000]

/** Reports the processor and memory usage of the dashboard while nothing happens on the hosts. */
async function tellIdle(ground: Ground): Promise<string> {
  const { user } = ground
  await using top = openTerminal([program, '--inventory', quietInventory(ground), 'top'], {
    ...{ cwd: user.folder, rows: 24, columns: 140 },
    env: { ...user.env, LANG: 'C.UTF-8' },
  })
  await top.until((lines) => lines.filter((line) => line.includes('running')).length > 15)
  top.type('2')
  await sleep(settleMs)
  const pid = await top.pid()
  const [before, from] = [processorTimeOf(pid), performance.now()]
  await sleep(idleMs)
  const share = (processorTimeOf(pid) - before) / (performance.now() - from)
  const { memory } = await figuresOf(pid)
  top.type('q')
  await top.ended
  return `fleet top, ${quietHosts} hosts with ${quietContainers} containers, idle: ${(share * 100).toFixed(1)} % of one processor (wanted: 10), ${(memory / 1000).toFixed(0)} MB (wanted: 150)`
}

/** Transfers of a file and an image of 500 MB each, and of many small files. */
async function transfers(ground: Ground): Promise<Case[]> {
  const { fleet, peer } = commandsOn(ground)
  const { hosts, sshConfig, user } = ground
  const [host] = hosts
  if (host === undefined) return []
  const file = await makeFile(ground, 500)
  const back = join(user.folder, 'back')
  const image = await makeImage(ground, host, 500)
  const folder = await makeSmallFiles(ground, 1_000)
  const scp = (from: string, to: string, wanted = 1.25): Peer => ({
    ...peer(['scp', '-qr', '-F', sshConfig, from, to], 'scp'),
    wanted,
  })
  const afreshThere = { prepare: () => host.exec('rm -rf /srv/root/small') }
  const afresh = { prepare: () => host.exec('docker rmi -f big:1') }
  return [
    {
      work: 'fleet cp, 500 MB there',
      fleet: fleet('cp', file, 'h1:/srv/root/there'),
      peers: [scp(file, 'h1:/srv/root/there', 1.1)],
    },
    {
      work: 'fleet cp, 1,000 small files there',
      fleet: { ...fleet('cp', folder, 'h1:/srv/root/small'), ...afreshThere },
      peers: [{ ...scp(folder, 'h1:/srv/root/small', 1.1), ...afreshThere }],
    },
    {
      work: 'fleet cp, 500 MB back',
      fleet: fleet('cp', 'h1:/srv/root/there', back),
      peers: [scp('h1:/srv/root/there', back)],
    },
    {
      work: 'fleet image load, 500 MB',
      fleet: { ...fleet('-m', 'h1', 'image', 'load', '-i', image), ...afresh },
      peers: [
        {
          ...peer(['docker', '-H', 'ssh://root@h1', 'load', '-i', image], 'docker -H ssh:// load'),
          ...{ ...afresh, wanted: 1.25 },
        },
      ],
    },
  ]
}

/** Cases that share a {@link Ground}. */
export interface Suite {
  readonly name: string
  readonly ground: Parameters<typeof prepareGround>[0]
  readonly cases: (ground: Ground) => Case[] | Promise<Case[]>
  /** Whether to also report how much memory fleet uses per host. */
  readonly memory?: boolean
  /** Returns a line with additional measurements, to print after the cases. */
  readonly tell?: (ground: Ground) => Promise<string>
  /** The minimum number of runs of each command. */
  readonly rounds?: number
}

const nowhere = { hosts: 0, engine: false }
const oneHost = { hosts: 1, engine: true }

/** All suites, in the order in which they run. */
export const suites: readonly Suite[] = [
  { name: 'start-up', ground: nowhere, cases: startUp },
  { name: 'ls', ground: { hosts: 1, engine: false }, cases: listing },
  { name: 'plan', ground: nowhere, cases: planning },
  { name: 'cold', ground: oneHost, cases: coldHost },
  { name: 'warm', ground: oneHost, cases: warmHost },
  { name: 'far', ground: { ...oneHost, roundTrips }, cases: farHost },
  { name: 'transfers', ground: oneHost, cases: transfers, rounds: 5 },
  { name: 'top', ground: nowhere, cases: dashboard, tell: tellIdle },
  { name: 'stacks', ground: { hosts: 100, engine: true }, cases: stackPlan },
  { name: '100', ground: { hosts: 100, engine: false }, cases: manyHosts, memory: true, rounds: 1 },
  { name: '200', ground: { hosts: 200, engine: false }, cases: manyHosts, memory: true, rounds: 1 },
  {
    ...{ name: '1000', cases: manyHosts, memory: true, rounds: 1 },
    ground: { hosts: 240, ports: 4, engine: false }, // a host needs 2 MB of memory; the lab has only 240 addresses
  },
]

/** Returns the command lines of `manyHosts` without open connections: on all hosts, and on a single host. */
export function memoryRuns(ground: Ground): readonly [all: Run, one: Run] {
  const { withoutBroker } = commandsOn(ground)
  const words = ['--parallel', '64', '--fold', '--', 'true'] as const
  return [withoutBroker('ssh', '--all', ...words), withoutBroker('ssh', '--on', 'h1', ...words)]
}
