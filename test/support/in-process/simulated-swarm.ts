import { Readable } from 'node:stream'
import type { Engine, EngineRequest } from '../../../src/engine/engine.ts'
import { UserError } from '../../../src/errors.ts'
import type { Transport } from '../../../src/transport/transport.ts'

/** A host with an engine, as seen from the network. */
interface SimulatedHost {
  readonly name: string
  readonly address: string
  isUp: boolean
  /** ID of the engine's node, and its cluster. Both are kept when the host is switched off. */
  membership: { readonly node: string; readonly cluster: SimulatedCluster } | undefined
  /** Error that keeps the engine from taking part in its cluster: it reports no node ID, and leaves only by force. */
  failure?: string | undefined
  /** Whether the engine fails on its first promotion. */
  failsPromotion?: boolean
  /** Whether another manager has become the only manager, while this host is still searching for the others. */
  isAbandoned?: boolean
}

/** A node in a cluster's list of nodes. */
interface SimulatedNode {
  readonly id: string
  readonly host: SimulatedHost
  version: number
  spec: Readonly<{ Labels: Record<string, string>; Role: string; Availability: string }>
  /** Number of requests until a change of the node's role is complete. */
  delay: number
}

/** A cluster. Its managers are the raft members, regardless of the desired roles of nodes. */
interface SimulatedCluster {
  readonly id: string
  readonly labels: Record<string, string>
  readonly nodes: Map<string, SimulatedNode>
  readonly raft: Set<string>
  /** Number of service tasks, keyed by node. Only active nodes get tasks. */
  readonly tasks: Map<string, number>
}

const failed = (message: string): UserError => new UserError('failed', message)

/**
 * Engines that can form swarms by the rules of swarmkit: raft needs a majority, roles change after some requests,
 * managers neither leave nor are removed, and the list of nodes is available only while there is a leader.
 */
export class SimulatedEngines {
  readonly hosts = new Map<string, SimulatedHost>()
  readonly clusters: SimulatedCluster[] = []
  /** Fraction of requests that fail. */
  failureRate = 0
  /** Called after each change that a request has made. */
  onChange: (change: string) => void = () => {}
  /** Called before each request, and after each change. If it throws, the request fails with that error. */
  onStep: () => void = () => {}
  readonly #random: () => number
  #count = 0

  constructor(names: readonly string[], random: () => number) {
    this.#random = random
    for (const [index, name] of names.entries()) {
      const address = `10.77.0.${index + 11}`
      this.hosts.set(name, { name, address, isUp: true, membership: undefined })
    }
  }

  host(name: string): SimulatedHost {
    const host = this.hosts.get(name)
    if (host === undefined) throw new Error(`there is no host ${name}`)
    return host
  }

  /** Returns whether a majority of the managers of a cluster is running. */
  hasQuorum({ raft, nodes }: SimulatedCluster): boolean {
    const running = [...raft].filter((id) => nodes.get(id)?.host.isUp).length
    return running > raft.size / 2
  }

  /** Returns the nodes of the only cluster, keyed by host. */
  nodes(): Record<string, SimulatedNode['spec']> {
    const [cluster, second] = this.clusters
    if (cluster === undefined || second !== undefined) {
      throw new Error(`there are ${this.clusters.length} clusters`)
    }
    return Object.fromEntries(
      [...cluster.nodes.values()].map(({ host, spec }) => [host.name, spec]),
    )
  }

  /** Assigns a task to an active node, as a new service would. */
  schedule(): void {
    for (const { nodes, tasks } of this.clusters) {
      const free = [...nodes.values()].filter(
        ({ host, spec }) => host.isUp && spec.Availability === 'active',
      )
      const node = free[Math.floor(this.#random() * free.length)]
      if (node !== undefined) tasks.set(node.id, (tasks.get(node.id) ?? 0) + 1)
    }
  }

  /** Returns the engine of a host. */
  engine(name: string): Engine {
    const host = this.host(name)
    const json: Engine['json'] = async (request, read) => {
      await Promise.resolve()
      this.onStep()
      request.signal?.throwIfAborted()
      if (!host.isUp) throw new UserError('unreachable', `${name} does not answer`)
      for (const cluster of this.clusters) this.#tick(cluster)
      const isRead = (request.method ?? 'GET') === 'GET'
      if (this.#random() < this.failureRate) throw failed('rpc error: deadline exceeded')
      const answer = this.#answer(host, request)
      if (!isRead) {
        this.onChange(`${request.method} ${request.path} on ${name}`)
        this.onStep()
      }
      // A change may be made even if its response is lost.
      if (!isRead && this.#random() < this.failureRate) throw failed('connection reset')
      return read(answer, '')
    }
    return { json } as Engine
  }

  /** Returns a connection to a host, from which ports of other hosts can be dialed. */
  transport(name: string): Transport {
    const own = this.host(name)
    return {
      dial: async (socket: { readonly host: string; readonly port: number }) => {
        const target = [...this.hosts.values()].find(({ address }) => address === socket.host)
        if (!own.isUp) throw new UserError('unreachable', `${name} does not answer`)
        if (target?.isUp !== true) throw new Error('No route to host')
        if (target.membership === undefined) throw new Error('Connection refused')
        return new Readable({ read: () => {} })
      },
      lost: new Promise<never>(() => {}),
    } as unknown as Transport
  }

  /** Completes role changes that were requested earlier. */
  #tick(cluster: SimulatedCluster): void {
    if (!this.hasQuorum(cluster)) return
    for (const node of cluster.nodes.values()) {
      const { host } = node
      if (!host.isUp || host.isAbandoned || host.membership?.node !== node.id) continue
      const isManager = cluster.raft.has(node.id)
      if (isManager === (node.spec.Role === 'manager')) continue
      node.delay -= 1
      if (node.delay > 0 || node.host.failure !== undefined) continue
      if (!isManager && node.host.failsPromotion === true) {
        Object.assign(node.host, { failsPromotion: false, failure: 'no route to host' })
        continue
      }
      if (!isManager) cluster.raft.add(node.id)
    }
  }

  #answer(host: SimulatedHost, { method = 'GET', path, query, body }: EngineRequest): unknown {
    const { membership } = host
    if (path === '/info') return { Swarm: this.#info(host) }
    if (path === '/swarm/init')
      return this.#init(host, body as { Spec: { Labels: Record<string, string> } })
    if (host.isAbandoned && path !== '/swarm/leave') throw failed('The swarm has no leader')
    if (path === '/swarm/join')
      return this.#join(host, body as { JoinToken: string; RemoteAddrs: string[] })
    if (membership === undefined) throw failed('This node is not a swarm manager')
    const { cluster } = membership
    if (path === '/swarm/leave') {
      const isBound = host.failure !== undefined || cluster.raft.has(membership.node)
      if (isBound && query?.['force'] !== true) {
        throw failed(
          'You are attempting to leave the swarm on a node that is participating as a manager',
        )
      }
      Object.assign(host, { membership: undefined, failure: undefined, isAbandoned: false })
      return undefined
    }
    if (host.failure !== undefined) throw failed('This node is not a swarm manager')
    if (!cluster.raft.has(membership.node)) throw failed('This node is not a swarm manager')
    if (!this.hasQuorum(cluster)) throw failed('The swarm does not have a leader')
    if (path === '/swarm') {
      const JoinTokens = { Worker: `${cluster.id} worker`, Manager: `${cluster.id} manager` }
      return { ID: cluster.id, Version: { Index: 1 }, Spec: {}, JoinTokens }
    }
    if (path === '/nodes')
      return [...cluster.nodes.values()].map((node) => this.#describe(cluster, node))
    if (path === '/tasks') {
      const { node: [id = ''] = [] } = (query?.['filters'] ?? {}) as { node?: string[] }
      const count = cluster.tasks.get(id) ?? 0
      // One task ends between two requests.
      if (count > 0) cluster.tasks.set(id, count - 1)
      return Array.from({ length: count }, () => ({ Status: { State: 'running' } }))
    }
    const [, , id = '', verb] = path.split('/')
    const node = cluster.nodes.get(id)
    if (node === undefined) throw failed(`node ${id} not found`)
    if (method === 'DELETE') {
      if (cluster.raft.has(id)) throw failed(`node ${id} is a cluster manager`)
      cluster.nodes.delete(id)
      cluster.tasks.delete(id)
      return undefined
    }
    if (verb !== 'update') return this.#describe(cluster, node)
    if (query?.['version'] !== node.version) throw failed('rpc error: update out of sequence')
    this.#update(cluster, node, body as SimulatedNode['spec'])
    return undefined
  }

  #update(cluster: SimulatedCluster, node: SimulatedNode, spec: SimulatedNode['spec']): void {
    const { raft } = cluster
    if (node.spec.Role === 'manager' && spec.Role === 'worker') {
      if (!raft.has(node.id)) throw failed("can't find manager in raft memberlist")
      if (raft.size === 1) throw failed('attempting to demote the last manager of the swarm')
      const rest = [...raft].filter((id) => id !== node.id)
      const running = rest.filter((id) => cluster.nodes.get(id)?.host.isUp).length
      if (running <= rest.length / 2) throw failed('this would result in a loss of quorum')
      raft.delete(node.id)
    }
    if (node.spec.Role !== spec.Role) node.delay = Math.floor(this.#random() * 4)
    if (spec.Availability === 'active' && node.spec.Availability === 'drain') {
      // The previous tasks have been moved to other nodes.
      cluster.tasks.delete(node.id)
    }
    node.spec = structuredClone(spec)
    node.version += 1
  }

  #init(
    host: SimulatedHost,
    {
      Spec,
      ForceNewCluster = false,
    }: {
      readonly Spec: { readonly Labels: Record<string, string> }
      readonly ForceNewCluster?: boolean
    },
  ): string {
    if (ForceNewCluster && host.membership !== undefined) {
      const { node, cluster } = host.membership
      for (const id of cluster.raft) {
        const other = cluster.nodes.get(id)?.host
        if (other !== undefined && id !== node) other.isAbandoned = true
      }
      cluster.raft.clear()
      cluster.raft.add(node)
      return node
    }
    if (host.membership !== undefined) throw failed('This node is already part of a swarm')
    const cluster: SimulatedCluster = {
      ...{ id: this.#newId('c'), labels: { ...Spec.Labels }, nodes: new Map() },
      ...{ raft: new Set<string>(), tasks: new Map<string, number>() },
    }
    this.clusters.push(cluster)
    const node = this.#addNode(host, cluster, 'manager')
    cluster.raft.add(node.id)
    return node.id
  }

  #join(
    host: SimulatedHost,
    {
      JoinToken,
      RemoteAddrs,
    }: { readonly JoinToken: string; readonly RemoteAddrs: readonly string[] },
  ): undefined {
    if (host.membership !== undefined) throw failed('This node is already part of a swarm')
    const [id, role = ''] = JoinToken.split(' ')
    const cluster = this.clusters.find((one) => one.id === id)
    const isReached = RemoteAddrs.some((remote) =>
      [...this.hosts.values()].some(({ address, isUp }) => isUp && remote === `${address}:2377`),
    )
    if (cluster === undefined || !isReached || !this.hasQuorum(cluster)) throw failed('timeout')
    const node = this.#addNode(host, cluster, role)
    if (role === 'manager') cluster.raft.add(node.id)
  }

  #addNode(host: SimulatedHost, cluster: SimulatedCluster, role: string): SimulatedNode {
    const spec = { Labels: {}, Role: role, Availability: 'drain' }
    const node = { id: this.#newId('n'), host, version: 1, spec, delay: 0 }
    cluster.nodes.set(node.id, node)
    host.membership = { node: node.id, cluster }
    return node
  }

  #newId(kind: string): string {
    this.#count += 1
    return `${kind}${this.#count}`.padEnd(25, 'x')
  }

  #info({ membership, address, failure, isAbandoned = false }: SimulatedHost): object {
    if (failure !== undefined) return { NodeID: '', LocalNodeState: 'error', Error: failure }
    if (membership === undefined) return { NodeID: '', LocalNodeState: 'inactive' }
    const { cluster, node } = membership
    const isManager = cluster.raft.has(node)
    const RemoteManagers = [...cluster.raft].map((NodeID) => ({ NodeID }))
    const own = { NodeID: node, NodeAddr: address, LocalNodeState: 'active', RemoteManagers }
    if (isAbandoned) return { ...own, ControlAvailable: true }
    if (!isManager) return { ...own, ControlAvailable: false }
    const known = {
      ID: cluster.id,
      Spec: { Labels: cluster.labels },
      DefaultAddrPool: ['10.99.0.0/16'],
    }
    return { ...own, ControlAvailable: true, ...(this.hasQuorum(cluster) && { Cluster: known }) }
  }

  #describe({ raft }: SimulatedCluster, { id, host, spec, version }: SimulatedNode): object {
    const isReady =
      host.isUp &&
      host.membership?.node === id &&
      host.failure === undefined &&
      host.isAbandoned !== true
    return {
      ...{ ID: id, Version: { Index: version }, Spec: structuredClone(spec) },
      Description: { Hostname: host.name, Engine: { EngineVersion: '28.5' } },
      Status: { State: isReady ? 'ready' : 'down', Addr: host.address },
      ...(raft.has(id) && {
        ManagerStatus: {
          ...{ Leader: false, Reachability: isReady ? 'reachable' : 'unreachable' },
          Addr: `${host.address}:2377`,
        },
      }),
    }
  }
}
