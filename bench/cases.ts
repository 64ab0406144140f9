import { join } from 'node:path'
import { execPath } from 'node:process'
import { program } from '../test/support/person.ts'
import { type Ground, makeFile, makeImage, writeInventory } from './ground.ts'
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
}

type Words = readonly [string, ...string[]]

/** What makes command lines on a ground. */
function commandsOn({ person, env }: Ground) {
  const fleet = (...args: string[]): Run => ({
    argv: [execPath, program, ...args],
    env: { ...person.env, FLEET_INVENTORY: join(person.folder, 'machines.yaml') },
  })
  const peer = (argv: Words, name = argv.join(' ')): Peer => ({ name, argv, env })
  const node: Words = [execPath, '-e', '0']
  return { fleet, peer, bareNode: peer(node, 'node -e 0') }
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
    { work: 'fleet ls, 10,000 machines', fleet: tenThousand, peers: [{ ...ten, name }] },
  ]
}

/** One host, no connection open before. */
function oneHost(ground: Ground): Case[] {
  const { fleet, peer } = commandsOn(ground)
  return [
    {
      work: 'fleet ps, cold',
      fleet: fleet('-m', 'h1', 'ps'),
      peers: [
        { ...peer(['docker', '-H', 'ssh://root@h1', 'ps']), wanted: 0.7 },
        peer(['docker', '-H', 'ssh://root@h1.curve25519', 'ps']),
        peer(['ssh', 'h1', 'docker', 'ps']),
        peer(['ssh', 'h1.curve25519', 'docker', 'ps']),
      ],
    },
    {
      work: 'fleet exec app true, cold',
      fleet: fleet('-m', 'h1', 'exec', 'app', 'true'),
      peers: [
        peer(['docker', '-H', 'ssh://root@h1', 'exec', 'app', 'true']),
        peer(['docker', '-H', 'ssh://root@h1.curve25519', 'exec', 'app', 'true']),
      ],
    },
    {
      work: 'fleet ssh h1 true, cold',
      fleet: fleet('ssh', 'h1', 'true'),
      peers: [peer(['ssh', 'h1', 'true']), peer(['ssh', 'h1.curve25519', 'true'])],
    },
  ]
}

/** All hosts at once. */
function manyHosts(ground: Ground): Case[] {
  const { fleet, peer } = commandsOn(ground)
  const list = join(ground.person.folder, 'hosts')
  const onEach = (suffix: string, ...words: string[]): Peer =>
    peer(
      ['xargs', '-a', list, '-P', '32', '-I{}', 'ssh', `{}${suffix}`, ...words],
      `xargs -P 32 ssh {}${suffix} ${words.join(' ')}`,
    )
  const hosts = `${ground.hosts.length} hosts`
  return [
    {
      work: `fleet ps --all, ${hosts}, cold`,
      fleet: fleet('ps', '--all'),
      peers: [onEach('', 'docker', 'ps'), onEach('.curve25519', 'docker', 'ps')],
    },
    {
      work: `fleet ls --live, ${hosts}, cold`,
      fleet: fleet('ls', '--live'),
      peers: [onEach('', 'docker', 'info'), onEach('.curve25519', 'docker', 'info')],
    },
  ]
}

/** Files and images. */
async function transfers(ground: Ground): Promise<Case[]> {
  const { fleet, peer } = commandsOn(ground)
  const { hosts, sshConfig, person } = ground
  const [host] = hosts
  if (host === undefined) return []
  const file = await makeFile(ground, 200)
  const back = join(person.folder, 'back')
  const image = await makeImage(ground, host, 100)
  const scp = (from: string, to: string): Peer =>
    peer(['scp', '-q', '-F', sshConfig, from, to], 'scp')
  const afresh = { prepare: () => host.exec('docker rmi -f big:1') }
  return [
    {
      work: 'fleet cp, 200 MB there',
      fleet: fleet('cp', file, 'h1:/srv/root/there'),
      peers: [scp(file, 'h1:/srv/root/there')],
    },
    {
      work: 'fleet cp, 200 MB back',
      fleet: fleet('cp', 'h1:/srv/root/there', back),
      peers: [scp('h1:/srv/root/there', back)],
    },
    {
      work: 'fleet docker load, 100 MB',
      fleet: { ...fleet('-m', 'h1', 'docker', 'load', '-i', image), ...afresh },
      peers: [
        {
          ...peer(['docker', '-H', 'ssh://root@h1', 'load', '-i', image], 'docker -H ssh:// load'),
          ...afresh,
        },
      ],
    },
  ]
}

/** Everything that is compared. Cases that follow each other may need what the one before left. */
export const allCases = async (ground: Ground): Promise<Case[]> => [
  ...startUp(ground),
  ...(await listing(ground)),
  ...oneHost(ground),
  ...manyHosts(ground),
  ...(await transfers(ground)),
]
