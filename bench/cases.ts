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

/** One piece of work, done by fleet and by its peers. */
export interface Case {
  readonly work: string
  readonly fleet: Run
  readonly peers: readonly Peer[]
}

interface Peer extends Run {
  readonly name: string
  /** The most that fleet's time is to be of the peer's, where that is agreed. */
  readonly wanted?: number
  /** Added to the peer's time: what the line itself takes. */
  readonly plusMs?: number
}

type Words = readonly [string, ...string[]]

/** What makes command lines on a ground. */
function commandsOn({ person, env }: Ground) {
  const fleet = (...args: string[]): Run => ({
    argv: [program, ...args],
    env: { ...person.env, FLEET_INVENTORY: join(person.folder, 'machines.yaml') },
  })
  const peer = (argv: Words, name = argv.join(' ')): Peer => ({ name, argv, env })
  const node: Words = [execPath, '-e', '0']
  const withoutBroker = (...args: string[]): Run => {
    const run = fleet(...args)
    return { ...run, env: { ...run.env, FLEET_BROKER: 'off' } }
  }
  return { fleet, withoutBroker, peer, bareNode: peer(node, 'node -e 0') }
}

/** How soon fleet is there. */
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

/** Planning for hosts on EC2 in three regions, which answers at once. */
async function planning(ground: Ground): Promise<Case[]> {
  const { fleet } = commandsOn(ground)
  const planFor = async (count: number): Promise<Peer> => {
    const ec2 = await serveManyInstances(count)
    const file = join(ground.person.folder, `${count}-on-aws.yaml`)
    await writeFile(file, ec2.inventory)
    const run = fleet('--inventory', file, 'plan', '--skip-hosts')
    const name = `fleet plan, ${count} machines on AWS`
    return { ...run, env: { ...run.env, ...ec2.environment }, name }
  }
  const thousand = await planFor(1000)
  return [{ work: thousand.name, fleet: thousand, peers: [await planFor(3)] }]
}

/** One host, no connection open before. */
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
      fleet: { ...fleet('-m', 'h1', 'ps'), prepare: () => ground.person.fleet(['broker', 'stop']) },
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

/** How the machines of {@link writeRoutes} are connected to. */
const routeNames = {
  jumped: 'through a jump host',
  proxied: 'through a ProxyCommand',
  openssh: 'over the client openssh',
} as const

/** One host, its connection kept from the command before. */
async function warmHost(ground: Ground): Promise<Case[]> {
  const { fleet, peer } = commandsOn(ground)
  const routes = await writeRoutes(ground)
  const through = (name: string): Run => {
    const run = fleet('-m', name, 'ps')
    return { ...run, env: { ...run.env, FLEET_INVENTORY: routes } }
  }
  const fresh = { ...peer(['docker', '-H', 'ssh://root@h1', 'ps']), wanted: 0.2 }
  const { stdout } = await ground.person.fleet(['env', 'h1', '--shell', 'bash'], {
    started: countProcess, // the broker that it starts works for the commands below
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

/** The round trips that hosts are put away, in milliseconds. */
const roundTrips = [50, 200]

/** One host, far away. */
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

/** One command on all hosts at once. */
function manyHosts(ground: Ground): Case[] {
  const { fleet, withoutBroker, peer } = commandsOn(ground)
  const { folder } = ground.person
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

/** The plan of one stack that is deployed on all hosts, their connections kept from the command before. */
async function stackPlan(ground: Ground): Promise<Case[]> {
  const { fleet } = commandsOn(ground)
  const { folder, home } = ground.person
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
  const { code, stderr } = await ground.person.fleet(['deploy', '--yes'], {
    started: countProcess, // as the broker that it starts
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

/** How many hosts the dashboard has, and how many containers each of them has. */
const [quietHosts, quietContainers] = [100, 20]

/** The inventory of the hosts that {@link dashboard} starts. */
const quietInventory = ({ person }: Ground): string => join(person.folder, 'quiet.yaml')

/** The dashboard, and the search for a container, with connections to all hosts. This process is the hosts. */
async function dashboard(ground: Ground): Promise<Case[]> {
  const { fleet, bareNode } = commandsOn(ground)
  const { person, owned } = ground
  const quiet = await startQuietFleet(quietHosts, quietContainers)
  owned.push(quiet)
  const file = quietInventory(ground)
  await writeFile(file, quiet.inventory)
  const { code, stderr } = await person.fleet(['--inventory', file, 'ps', '--all'], {
    started: countProcess, // as the broker that it starts
  })
  if (code !== 0) throw new Error(stderr)
  const on = (...args: string[]): Run => fleet('--inventory', file, ...args)
  const relay = join(import.meta.dirname, '../test/support/process/pty_relay.py')
  const keys = join(person.folder, 'keys')
  await writeFile(keys, '{"type": "q"}\n')
  /** On a terminal on which q was typed already: the dashboard ends after its first picture. */
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

/** How long the dashboard is left alone before and while it is measured, in milliseconds. */
const [settleMs, idleMs] = [8_000, 20_000]

/** Tells what the dashboard takes of a processor and of the memory while nothing happens on the hosts. */
async function tellIdle(ground: Ground): Promise<string> {
  const { person } = ground
  await using top = openTerminal([program, '--inventory', quietInventory(ground), 'top'], {
    ...{ cwd: person.folder, rows: 24, columns: 140 },
    env: { ...person.env, LANG: 'C.UTF-8' },
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

/** Files and images of 500 MB. */
async function transfers(ground: Ground): Promise<Case[]> {
  const { fleet, peer } = commandsOn(ground)
  const { hosts, sshConfig, person } = ground
  const [host] = hosts
  if (host === undefined) return []
  const file = await makeFile(ground, 500)
  const back = join(person.folder, 'back')
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

/** Work that is done on the same ground. */
export interface Suite {
  readonly name: string
  readonly ground: Parameters<typeof prepareGround>[0]
  readonly cases: (ground: Ground) => Case[] | Promise<Case[]>
  /** Also tell what memory fleet takes for each host. */
  readonly memory?: boolean
  /** What else there is to tell, after the cases. */
  readonly tell?: (ground: Ground) => Promise<string>
  /** How many times each command runs at least. */
  readonly rounds?: number
}

const nowhere = { hosts: 0, engine: false }
const oneHost = { hosts: 1, engine: true }

/** Everything that is compared. */
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
    ground: { hosts: 240, ports: 4, engine: false }, // 2 MB of memory each; the lab has no more addresses
  },
]

/** One command on all hosts, cold, as `manyHosts` does it; and on one alone. */
export function memoryRuns(ground: Ground): readonly [all: Run, one: Run] {
  const { withoutBroker } = commandsOn(ground)
  const words = ['--parallel', '64', '--fold', '--', 'true'] as const
  return [withoutBroker('ssh', '--all', ...words), withoutBroker('ssh', '--on', 'h1', ...words)]
}
