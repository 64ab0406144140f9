import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { dockerPlugins } from '../docker/docker-plugins.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../lab/lab.ts'
import { type TestUser, makeTestUser } from '../test-user.ts'

/** Compose on the operator's computer, or on the hosts if the operator has no docker CLI. */
interface ComposeKind {
  readonly kind: string
  readonly here: boolean
  /** The compose plugin's file; each kind of compose has a different version. */
  readonly plugin: string
}

const { 'docker-compose': older = '', 'docker-compose-new': newer = '' } = dockerPlugins

/** Compose on the operator's computer. */
export const localCompose = { here: true, plugin: newer } as const

/** Compose on the hosts, for an operator without a docker CLI. */
export const hostCompose = { here: false, plugin: older } as const

/** Each kind of compose, with its version. */
export const composeKinds: readonly ComposeKind[] = [
  { kind: 'compose on this computer', ...localCompose },
  { kind: 'compose on the hosts', ...hostCompose },
]

/** Whether this process can deploy stacks. */
export const canDeployStacks = labIsHere && older !== '' && newer !== ''

/** A shell command that keeps a container running until it is stopped. */
export const waitForever = 'trap exit TERM; while :; do sleep 0.1; done'

type Options = NonNullable<Parameters<TestUser['fleet']>[1]>

/** The name of the stack in the inventory of a {@link StackLab}. */
const stack = 'shop'

/** Hosts with engines, and an operator whose inventory contains these hosts and the stack `shop`. */
export interface StackLab extends AsyncDisposable {
  readonly lab: Lab
  readonly hosts: readonly LabHost[]
  readonly ana: TestUser
  /** Writes files in the inventory directory. */
  lay(files: Readonly<Record<string, string>>): Promise<void>
  /** Runs fleet with the words of a line as arguments. */
  fleet(line: string, options?: Options): ReturnType<TestUser['fleet']>
  /** Runs fleet, which must succeed. Resolves to all of its output. */
  ok(line: string, options?: Options): Promise<string>
}

/** Installs the compose plugin for a user. */
export async function giveCompose(user: TestUser, plugin: string): Promise<void> {
  const folder = join(user.home, '.docker/cli-plugins')
  await mkdir(folder, { recursive: true })
  await symlink(plugin, join(folder, 'docker-compose'))
}

/** Installs the compose plugin on a host. */
export const giveHostCompose = (host: LabHost, plugin: string) =>
  host.exec(`mkdir -p ~/.docker/cli-plugins && cp '${plugin}' ~/.docker/cli-plugins/docker-compose`)

/** Writes files below a directory. */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
}

/** Starts hosts, and writes an inventory with these hosts and the stack `shop`, which shop/compose.yaml defines. */
export async function startStackLab({
  hosts,
  here,
  plugin,
  wait = 300,
}: Omit<ComposeKind, 'kind'> & {
  readonly hosts: number
  /** The time limit of a deployment, in seconds. */
  readonly wait?: number
}): Promise<StackLab> {
  const lab = await startLab({ hosts, engine: true, image: true })
  const ana = await makeTestUser({ identity: lab.identity.file, broker: true })
  const env = { DOCKER_BUILDKIT: '0', ...(!here && { PATH: ana.nodeOnly }) }
  if (here) await giveCompose(ana, plugin)
  else for (const host of lab.hosts) await giveHostCompose(host, plugin)
  const machines = lab.hosts.map(({ name, address, hostKey }) => {
    const host = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
    return [name, { driver: 'ssh', options: { address }, host }]
  })
  const inventory = JSON.stringify({
    ...{ version: 1, id: '0123abcd' },
    stacks: { [stack]: { compose: 'shop/compose.yaml', on: 'all', wait } },
    machines: Object.fromEntries(machines),
  })
  await writeFiles(ana.folder, { 'machines.yaml': inventory })
  const fleet: StackLab['fleet'] = (line, options = {}) => {
    const words = line.split(' ')
    // On a busy computer, hosts respond slowly.
    if (/^(?:apply|deploy|plan) ?/.test(line)) words.push('--timeout', '600')
    return ana.fleet(words, { ...options, env: { ...env, ...options.env } })
  }
  await fleet('refresh')
  return {
    ...{ lab, hosts: lab.hosts, ana, fleet },
    lay: (files) => writeFiles(ana.folder, files),
    async ok(line, options) {
      const { code, stdout, stderr } = await fleet(line, options)
      const expected = { line, code: 0, stderr: '' }
      expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual(expected)
      return stdout + stderr
    },
    async [Symbol.asyncDispose]() {
      await fleet('broker stop')
      await ana[Symbol.asyncDispose]()
      await lab[Symbol.asyncDispose]()
    },
  }
}

/** Runs a shell command on a host. Resolves to its trimmed output. */
export const onHost = async (host: LabHost, command: string): Promise<string> =>
  (await host.exec(command)).stdout.trim()

/** Resolves to the IDs of the stack's running containers, keyed by service. */
export async function containersOn(host: LabHost): Promise<Record<string, string>> {
  const format = '{{.Label "com.docker.compose.service"}} {{.ID}}'
  const filter = `label=com.docker.compose.project=${stack}`
  const list = await onHost(host, `docker ps --filter ${filter} --format '${format}'`)
  const lines = list.split('\n').filter((line) => line !== '')
  return Object.fromEntries(lines.map((line) => line.split(' '))) as Record<string, string>
}

/** Returns the path of a file in the stack's directory on a host, as seen by this process. */
export const inStore = ({ engineSocket }: LabHost, path: string): string =>
  engineSocket.replace(/run\/docker\.sock$/, `var/lib/fleet/stacks/0123abcd/${stack}/${path}`)
