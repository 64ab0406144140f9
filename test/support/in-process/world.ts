import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tokenOf } from '../token-of.ts'
import type { openFakeCloud } from './fake-driver.ts'
import type { FakeHost } from './fake-host.ts'
import { type Ran, runHere } from './run.ts'

/** An inventory directory and a home directory: everything that a command line needs except hosts. */
export interface World extends AsyncDisposable {
  readonly folder: string
  readonly home: string
  /** Runs `fleet WORDS` in the inventory directory. */
  run(
    words: readonly string[],
    env?: Readonly<Record<string, string>>,
    input?: string,
  ): Promise<Ran>
}

/** The hosts of a world. */
interface WorldHosts {
  readonly web1: FakeHost
  readonly web2: FakeHost
  /** Host at which all hosts of the fake provider can be reached. */
  readonly cloud: FakeHost
}

/** Returns the record fields of a ready host. */
const ready = ({ port, hostKey }: FakeHost) =>
  `phase: ready, address: 127.0.0.1, port: ${port}, user: root, hostKeys: ["${hostKey}"]`

/** Returns an inventory with two hosts over SSH, one of the fake provider, and one that is yet to be created. */
function inventoryOf({ web1, web2, cloud }: WorldHosts): string {
  const web = (host: FakeHost) =>
    `{ driver: ssh, options: { address: 127.0.0.1, port: ${host.port}, user: root }, labels: { role: web }, host: { ${ready(host)} } }`
  return `version: 1
id: 0123abcd
operators:
  ana: ${web1.hostKey}
machines:
  web-1: ${web(web1)}
  web-2: ${web(web2)}
  db-1: { driver: fake, labels: { role: db }, host: { ${ready(cloud)}, id: fake-db-1, token: ${tokenOf('db-1')} } }
  new-1: { driver: fake }
`
}

/** A stack on web-1 and web-2, one on db-1, and one on no machine. */
const stacks = `stacks:
  shop: { compose: shop/compose.yaml, on: role=web }
  blog: { compose: shop/compose.yaml, on: role=db }
  idle: { compose: shop/compose.yaml, on: role=none }
`

/** A swarm that the engines of all hosts manage, and one that does not exist yet. */
const swarms = `swarms:
  prod: { managers: web-1, id: ${'c'.repeat(25)} }
  test: { managers: new-1 }
`

/** An inventory with only this computer, whose engine needs no broker. */
const thisComputer = `version: 1
id: 89abcdef
machines:
  laptop: { driver: local, host: { phase: ready } }
`

/** Creates a world. The provider has the host of `db-1`, and a host without an entry. */
export async function openWorld(
  hosts: WorldHosts,
  cloud: ReturnType<typeof openFakeCloud>,
): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), 'fleet-world-'))
  const [folder, home] = [join(root, 'work'), join(root, 'home')]
  await mkdir(folder)
  await mkdir(home, { mode: 0o700 })
  await writeFile(join(folder, 'machines.yaml'), inventoryOf(hosts))
  await writeFile(join(folder, 'here.yaml'), thisComputer)
  const withStacks = `${inventoryOf(hosts)}${stacks}`
  await writeFile(join(folder, 'stacks.yaml'), withStacks)
  await writeFile(join(folder, 'swarms.yaml'), `${inventoryOf(hosts)}${swarms}`)
  // an inventory without any deployment
  await writeFile(join(folder, 'new.yaml'), withStacks.replace('0123abcd', '4567cdef'))
  for (const machine of ['db-1', 'lost-1']) {
    const record = { phase: 'ready' as const, token: tokenOf(machine), id: `fake-${machine}` }
    const tags = { 'fleet:id': '0123abcd', 'fleet:machine': machine }
    const found = { token: record.token, machine, record, parts: [`host fake-${machine}`], tags }
    cloud.hosts.set(record.token, { found, state: 'running' })
  }
  const env = {
    ...{ HOME: root, USERPROFILE: root, FLEET_HOME: home, FLEET_BROKER: 'off', TMPDIR: root },
    ...{ XDG_CACHE_HOME: join(root, 'cache'), DOCKER_CONFIG: join(root, 'docker'), PATH: '' },
  }
  return {
    folder,
    home,
    run: (words, more, input) => runHere(words, { cwd: folder, env: { ...env, ...more }, input }),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}
