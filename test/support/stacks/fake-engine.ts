import { Readable } from 'node:stream'
import type { Engine } from '../../../src/engine/engine.ts'
import { UserError } from '../../../src/errors.ts'
import type { MachineCompose } from '../../../src/operations/stacks/run-release.ts'
import { idleLabels } from '../../../src/operations/stacks/idle-container.ts'
import { type StackModel, imageOf } from '../../../src/operations/stacks/stack-model.ts'

interface FakeContainer {
  readonly id: string
  /** The container's name (default: the name that compose chooses). */
  readonly name?: string
  readonly service: string
  readonly hash: string
  readonly image: string
  readonly labels: Readonly<Record<string, string>>
  readonly health: 'healthy' | 'unhealthy' | 'health: starting'
  /** The container's state (default: `running`). */
  readonly state?: 'paused' | 'restarting'
}

/**
 * An engine and a compose that keep containers in memory. A service whose command is `fail`, `slow` or `crash` never
 * becomes healthy; of these, compose reports only `fail`.
 */
export interface FakeDocker {
  readonly engine: Engine
  readonly compose: MachineCompose
  readonly containers: Map<string, FakeContainer>
  /** The IDs of images, keyed by name. */
  readonly images: Map<string, string>
  /** The images of containers that keep images and are never started. */
  readonly keepers: ReadonlySet<string>
  /** Returns whether the stack is marked as unfinished. */
  readonly isUnfinished: () => boolean
  /** The images in a registry; pulling any other image fails. */
  readonly registry: Map<string, string>
  /** The arguments and variables of compose commands that change something. */
  readonly runs: { readonly words: string; readonly variables: Readonly<Record<string, string>> }[]
  /** Called before compose starts containers. */
  beforeUp: (model: StackModel) => Promise<void>
}

export const imageId = (letter: string): string => `sha256:${letter.repeat(64)}`

const hashOf = (service: object): string =>
  Buffer.from(JSON.stringify(service)).toString('hex').padEnd(64, '0').slice(-64)

export function fakeDocker(): FakeDocker {
  const containers = new Map<string, FakeContainer>()
  const images = new Map<string, string>()
  const registry = new Map<string, string>()
  const runs: FakeDocker['runs'] = []
  let count = 0
  /** The images and labels of containers that are never started, keyed by container ID. */
  const idle = new Map<string, { image: string; labels: Readonly<Record<string, string>> }>()
  const idleWith = (label: string) =>
    [...idle].filter(([, { labels }]) => labels[label] !== undefined)
  const summaryOf = ([id, { image, labels }]: ReturnType<typeof idleWith>[number]) => ({
    ...{ Id: id, Names: [`/${id}`], Image: image, ImageID: image, Created: 0, Command: '' },
    ...{ Ports: [], Mounts: [], Networks: [], State: 'created', Status: 'Created', Labels: labels },
  })
  const answer = ({
    method = 'GET',
    path,
    query = {},
    body,
  }: Parameters<Engine['json']>[0]): unknown => {
    const [, image] = /^\/images\/(.+?)(?:\/(?:json|tag))?$/.exec(path) ?? []
    const { label = [] } = (query['filters'] ?? {}) as { label?: readonly string[] }
    const [wanted = ''] = (label[0] ?? '').split('=')
    if (path === '/containers/json' && wanted.startsWith('fleet.')) {
      return idleWith(wanted).map(summaryOf)
    }
    if (path === '/containers/create') {
      const { Image: from, Labels: labels } = body as {
        Image: string
        Labels: Record<string, string>
      }
      return void idle.set(`idle${(count += 1)}`, { image: from, labels })
    }
    if (method === 'DELETE' && path.startsWith('/containers/')) {
      return void idle.delete(path.slice('/containers/'.length))
    }
    if (path === '/containers/json') {
      const started = [...containers.values()].map(
        ({ id, name, service, hash, image: from, labels, health, state = 'running' }) => ({
          ...{
            Id: id,
            Names: [`/${name ?? `shop-${service}-1`}`],
            Image: from,
            ImageID: from,
            Command: '',
          },
          ...{ Created: 0, Ports: [], Mounts: [], Networks: [] },
          State: state,
          Status: `Up 1 second (${health})`,
          Labels: {
            ...labels,
            'com.docker.compose.service': service,
            'com.docker.compose.config-hash': hash,
            'com.docker.compose.image': from,
            'com.docker.compose.version': '2.40.3',
          },
        }),
      )
      return [...started, ...idleWith(wanted).map(summaryOf)]
    }
    const [, renamed] = /^\/containers\/(.+)\/rename$/.exec(path) ?? []
    for (const [service, container] of containers) {
      if (container.id !== renamed) continue
      return void containers.set(service, { ...container, ...(query as { name: string }) })
    }
    const [, unpaused] = /^\/containers\/(.+)\/unpause$/.exec(path) ?? []
    for (const [service, container] of containers) {
      if (container.id !== unpaused) continue
      const { state: _paused, ...running } = container
      return void containers.set(service, running)
    }
    if (path === '/images/json') return []
    if (path.startsWith('/containers/')) return { Config: { Tty: true } }
    const name = decodeURIComponent(image ?? '')
    if (method === 'POST') {
      const { repo, tag } = query as { repo: string; tag: string }
      images.set(`${repo}:${tag}`, name)
      return undefined
    }
    if (method === 'DELETE') return void images.delete(name)
    const id = name.startsWith('sha256:') ? name : images.get(name)
    if (id === undefined) throw new UserError('failed', `No such image: ${name}`)
    return { Id: id }
  }
  const docker: FakeDocker = {
    ...{ containers, images, registry, runs },
    get keepers() {
      return new Set(idleWith(idleLabels.keeper).map(([, { image }]) => image))
    },
    isUnfinished: () => idleWith(idleLabels.unfinished).length > 0,
    beforeUp: async () => {},
    engine: {
      json: async (request: Parameters<Engine['json']>[0]) => answer(request) as never,
      stream: async () => ({
        body: Readable.from([Buffer.from('2026-01-01T00:00:00.000000000Z it broke\n')]),
      }),
    } as unknown as Engine,
    compose: {
      version: '2.40.3',
      async run(model, words, { variables, signal }) {
        const [verb] = words
        const services = Object.entries(model.services)
        if (verb === 'config') {
          const lines = services.map(([name, service]) => `${name} ${hashOf(service)}\n`)
          return { code: 0, stdout: lines.join(''), stderr: '' }
        }
        runs.push({ words: words.join(' '), variables })
        if (verb === 'pull') {
          for (const [name, service] of services) {
            const image = imageOf(model.name, name, service)
            const id = registry.get(image)
            if (id === undefined) return { code: 1, stdout: '', stderr: 'no registry' }
            images.set(image, id)
          }
          return { code: 0, stdout: '', stderr: '' }
        }
        await docker.beforeUp(model)
        signal.throwIfAborted()
        if ([...containers.values()].some(({ state }) => state === 'paused')) {
          return { code: 1, stdout: '', stderr: 'cannot start a paused container' }
        }
        for (const name of containers.keys()) if (!(name in model.services)) containers.delete(name)
        let isFailed = false
        for (const [name, service] of services) {
          const [hash, image] = [hashOf(service), images.get(imageOf(model.name, name, service))]
          const before = containers.get(name)
          const { command } = service
          const health =
            command === 'fail' ? 'unhealthy' : command === 'slow' ? 'health: starting' : 'healthy'
          isFailed ||= command === 'fail'
          if (before?.hash === hash && before.image === image) continue
          const { labels = {} } = service
          count += 1
          const crashes = command === 'crash' && ({ state: 'restarting' } as const)
          const made = {
            id: `${name}${count}`,
            service: name,
            hash,
            labels,
            health,
            ...crashes,
          } as const
          containers.set(name, { ...made, image: image ?? '' })
        }
        return isFailed
          ? { code: 1, stdout: '', stderr: 'progress\ncontainer shop-web-1 is unhealthy\n' }
          : { code: 0, stdout: '', stderr: '' }
      },
    },
  }
  return docker
}
