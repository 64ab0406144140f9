import type { RequestListener } from 'node:http'
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { startLoopbackSshd } from '../ssh/loopback-sshd.ts'

/** Hosts whose engines have many idle containers, and an inventory of these hosts. */
export interface QuietFleet extends AsyncDisposable {
  readonly inventory: string
  /** Holds back the output of all commands on the hosts, as if the network were cut, or releases it. */
  hold(on: boolean): void
}

const idOf = (host: number, container: number): string =>
  `${host.toString(16).padStart(4, '0')}${container.toString(16).padStart(4, '0')}`.padEnd(64, '0')

/** Returns statistics of a container; they grow with time, so each reading differs. */
const usageOf = (id: string, name: string): object => {
  const time = Date.now() * 1e6
  const usage = { total_usage: time / 50, usage_in_usermode: 0 }
  return {
    ...{ id, name: `/${name}`, precpu_stats: { cpu_usage: { total_usage: 0 } } },
    cpu_stats: { cpu_usage: usage, system_cpu_usage: time * 2, online_cpus: 2 },
    memory_stats: { usage: 50_000_000, limit: 1_000_000_000, stats: {} },
    networks: { eth0: { rx_bytes: time / 1e6, tx_bytes: 2 } },
    ...{ blkio_stats: {}, pids_stats: { current: 2 } },
  }
}

/** The ID that every exec instance has. */
const execId = 'e'.repeat(64)

/** Name of a container that only one host has; hosts are counted from 1. */
export const onlyOn = (host: number): string => `only-on-${host}`

/** Returns an engine with `containers` running containers and no events. Commands in them succeed immediately. */
function quietEngine(host: number, containers: number): RequestListener {
  const listed = Array.from({ length: containers }, (_, index) => ({
    ...{ Id: idOf(host, index), Image: 'nginx:1.27' },
    Names: [`/${index > 0 && index === containers - 1 ? onlyOn(host + 1) : `app-${index + 1}`}`],
    ...{ ImageID: `sha256:${'a'.repeat(64)}`, Command: 'nginx', Created: 1_700_000_000, Ports: [] },
    ...{ Mounts: [], State: 'running', Status: 'Up 3 minutes', NetworkSettings: { Networks: {} } },
    Labels: { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web' },
  }))
  const info = {
    ...{ Name: 'host', ServerVersion: '27.5.1', OperatingSystem: 'Debian 12', NCPU: 2, Images: 1 },
    ...{ Containers: containers, ContainersRunning: containers, MemTotal: 1_000_000_000 },
  }
  return (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://engine')
    const path = pathname.replace(/^\/v[\d.]+/, '')
    request.resume()
    if (path === '/events') {
      response.writeHead(200).flushHeaders()
      return
    }
    if (/^\/containers\/[\w-]+\/exec$/.test(path)) {
      response.writeHead(201).end(JSON.stringify({ Id: execId }))
      return
    }
    if (path === `/exec/${execId}/start`) {
      response.writeHead(101, { Connection: 'Upgrade', Upgrade: 'tcp' }).flushHeaders()
      request.socket.end()
      return
    }
    const [, id = '', part] = /^\/containers\/(\w{64})\/(\w+)$/.exec(path) ?? []
    const name = listed.find(({ Id }) => Id === id)?.Names[0]?.slice(1) ?? ''
    const answers: Readonly<Record<string, unknown>> = {
      '/_ping': 'OK',
      '/info': info,
      '/containers/json': listed,
      '/images/json': [],
      [`/exec/${execId}/json`]: { Running: false, ExitCode: 0 },
    }
    const answer =
      part === 'stats'
        ? usageOf(id, name)
        : part === 'json'
          ? {
              ...{
                Id: id,
                Name: `/${name}`,
                Config: { Tty: false, Image: 'nginx' },
                RestartCount: 0,
              },
              State: { Status: 'running', Running: true, ExitCode: 0 },
            }
          : answers[path]
    response.writeHead(answer === undefined ? 404 : 200, { 'Api-Version': '1.47' })
    response.end(JSON.stringify(answer ?? { message: 'no such thing' }))
  }
}

/** Starts hosts that run commands with the local shell. */
export async function startQuietFleet(hosts: number, containers: number): Promise<QuietFleet> {
  const outputs = new Set<Readable>()
  const servers: Awaited<ReturnType<typeof startLoopbackSshd>>[] = []
  for (let host = 0; host < hosts; host += 1) {
    servers.push(
      await startLoopbackSshd({
        login: (attempt) => attempt.accept(),
        engine: quietEngine(host, containers),
        exec(command, channel) {
          const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'ignore'] })
          channel.pipe(child.stdin).on('error', () => {})
          child.stdout.pipe(channel, { end: false })
          outputs.add(child.stdout)
          channel.on('close', () => {
            outputs.delete(child.stdout)
            child.kill()
          })
          child.on('close', (code) => {
            channel.exit(code ?? 1)
            channel.end()
          })
        },
      }),
    )
  }
  const entries = servers.map(
    ({ port, hostKey }, index) =>
      `  host-${index + 1}: { driver: ssh, options: { address: 127.0.0.1, port: ${port}, user: root }, host: { phase: ready, address: 127.0.0.1, port: ${port}, user: root, hostKeys: ["${hostKey}"] } }\n`,
  )
  return {
    inventory: `version: 1\nid: 0123abcd\nmachines:\n${entries.join('')}`,
    hold(on) {
      for (const output of outputs)
        if (on) output.pause()
        else output.resume()
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]()
    },
  }
}
