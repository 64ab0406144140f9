import type { RequestListener } from 'node:http'

const imageId = `sha256:${'a'.repeat(64)}`
const containerId = 'c'.repeat(64)
const [layer, created] = [`sha256:${'b'.repeat(64)}`, 1_700_000_000]

/** Labels of the container, which is the only container of a compose project. */
const labels = {
  role: 'front',
  'com.docker.compose.project': 'shop',
  'com.docker.compose.service': 'web',
  'com.docker.compose.image': imageId,
  'com.docker.compose.config-hash': 'd'.repeat(64),
  'com.docker.compose.project.working_dir': '/srv/shop',
  'com.docker.compose.project.config_files': '/srv/shop/compose.yaml',
}

const container = {
  ...{ Id: containerId, Names: ['/app'], Image: 'nginx:1.27', ImageID: imageId },
  ...{ Command: 'nginx', Created: created, Labels: labels, Mounts: [] },
  Ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }],
  ...{ State: 'running', Status: 'Up 3 minutes', NetworkSettings: { Networks: { bridge: {} } } },
}

const image = {
  ...{ Id: imageId, ParentId: '', RepoTags: ['nginx:1.27'], RepoDigests: [], Labels: {} },
  ...{ Created: created, Size: 50_000_000, Containers: 1, SharedSize: 0 },
  RootFS: { Type: 'layers', Layers: [layer] },
}

const usage = (total: number) => ({ total_usage: total, usage_in_usermode: 0 })

const stats = {
  ...{ id: containerId, name: '/app', read: '2026-01-01T00:00:01Z', num_procs: 2 },
  pids_stats: { current: 2, limit: 100 },
  cpu_stats: { cpu_usage: usage(200), system_cpu_usage: 2000, online_cpus: 2 },
  precpu_stats: { cpu_usage: usage(100), system_cpu_usage: 1000, online_cpus: 2 },
  memory_stats: { usage: 1_048_576, limit: 1_073_741_824, stats: {} },
  ...{ networks: { eth0: { rx_bytes: 1, tx_bytes: 2 } }, blkio_stats: {} },
}

const volume = {
  ...{ Name: 'data', Driver: 'local', Scope: 'local', Mountpoint: '/var/lib/docker/volumes/data' },
  ...{ CreatedAt: '2026-01-01T00:00:00Z', Labels: null, Options: null },
}

const network = {
  ...{ Id: 'd'.repeat(64), Name: 'front', Driver: 'bridge', Scope: 'local', Internal: false },
  ...{ Created: '2026-01-01T00:00:00Z', Labels: {}, Options: {} },
  IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '172.20.0.0/16' }] },
}

/** Swarm information of a manager that is the only node. */
const swarm = {
  ...{ NodeID: 'n'.repeat(25), LocalNodeState: 'active', ControlAvailable: true, Error: '' },
  RemoteManagers: [{ NodeID: 'n'.repeat(25), Addr: '192.0.2.1:2377' }],
  Cluster: { ID: 'c'.repeat(25), Spec: { Labels: {} }, DefaultAddrPool: ['10.99.0.0/16'] },
}
const node = {
  ...{ ID: 'n'.repeat(25), Version: { Index: 7 } },
  Spec: { Labels: { 'fleet.machine': 'web-2' }, Role: 'manager', Availability: 'active' },
  Description: { Hostname: 'host', Engine: { EngineVersion: '27.5.1' } },
  Status: { State: 'ready', Addr: '192.0.2.1' },
  ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '192.0.2.1:2377' },
}

const spec = (image: string) => ({
  ...{ Name: 'web', Labels: { 'com.docker.stack.namespace': 'front' } },
  TaskTemplate: { ContainerSpec: { Image: image, Env: ['A=1'] }, ForceUpdate: 0 },
  Mode: { Replicated: { Replicas: 1 } },
})

/** A service that has been updated once. */
const service = {
  ...{ ID: 's'.repeat(25), Version: { Index: 9 }, Spec: spec('nginx:1.27') },
  ...{ CreatedAt: '2026-01-01T00:00:00Z', UpdatedAt: '2026-01-02T00:00:00Z' },
  PreviousSpec: spec('nginx:1.26'),
  Endpoint: { Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080 }] },
  UpdateStatus: { State: 'completed', Message: 'update completed' },
  ServiceStatus: { RunningTasks: 1, DesiredTasks: 1, CompletedTasks: 0 },
}

/** The current task of the service, and the task that it replaced. */
const tasks = ['running', 'shutdown'].map((desired) => ({
  ...{ ID: desired[0]?.repeat(25), ServiceID: service.ID, Slot: 1, NodeID: node.ID },
  ...{ CreatedAt: `2026-01-0${desired === 'running' ? 2 : 1}T00:00:00Z`, DesiredState: desired },
  Spec: { ContainerSpec: { Image: 'nginx:1.27' } },
  Status: {
    ...{ State: desired === 'running' ? 'running' : 'failed', Timestamp: '2026-01-02T00:00:00Z' },
    ...(desired === 'shutdown' && { Err: 'task: non-zero exit (1)' }),
    ContainerStatus: { ContainerID: containerId, ExitCode: desired === 'running' ? 0 : 1 },
  },
}))

/** Returns a log line in the framing of the API: stream, three zeros, length (ContainerAttach). */
function frame(text: string): Buffer {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([head, Buffer.from(text)])
}

/** Answers, keyed by path: strings and buffers are sent as they are, and everything else as JSON. */
const answers: Readonly<Record<string, unknown>> = {
  '/_ping': 'OK',
  '/version': { Version: '27.5.1', ApiVersion: '1.41', Os: 'linux', Arch: 'amd64' },
  '/info': {
    ...{ Name: 'host', ServerVersion: '27.5.1', OperatingSystem: 'Debian 12', NCPU: 2 },
    ...{ Containers: 1, ContainersRunning: 1, Images: 1, MemTotal: 1_073_741_824 },
    Swarm: swarm,
  },
  '/nodes': [node],
  '/services': [service],
  [`/services/${service.ID}`]: service,
  [`/services/${service.ID}/update`]: { Warnings: null },
  '/tasks': tasks,
  ...{ '/configs': [], '/secrets': [] },
  '/swarm': {
    ...{ ID: 'c'.repeat(25), Version: { Index: 9 } },
    Spec: { Labels: {}, EncryptionConfig: { AutoLockManagers: false }, CAConfig: {} },
  },
  '/swarm/update': '',
  '/containers/json': [container],
  '/containers/app/json': {
    ...{ Id: containerId, Name: '/app', Config: { Tty: false, Image: 'nginx:1.27' } },
    State: { Status: 'running', Running: true, ExitCode: 0 },
  },
  '/containers/app': '',
  '/containers/create': { Id: containerId },
  '/containers/app/stop': '',
  '/containers/app/logs': frame('2026-01-01T00:00:00.000000000Z hello from nginx\n'),
  '/containers/app/stats': stats,
  '/events': {
    ...{ Type: 'container', Action: 'start', time: created, timeNano: created * 1e9 },
    Actor: { ID: containerId, Attributes: { name: 'app', image: 'nginx:1.27' } },
  },
  '/images/json': [image],
  '/images/nginx:1.27/json': image,
  '/images/nginx:1.27/tag': '',
  '/images/nginx:1.27/history': [
    ...[{ Id: imageId, Created: created, CreatedBy: 'COPY site /', Size: 7 }],
  ],
  '/auth': { Status: 'Login Succeeded', IdentityToken: '' },
  '/volumes': { Volumes: [volume], Warnings: null },
  '/volumes/data': volume,
  '/networks': [network],
  '/networks/front': network,
  '/containers/prune': { ContainersDeleted: [containerId], SpaceReclaimed: 1000 },
  '/networks/prune': { NetworksDeleted: null },
  '/volumes/prune': { VolumesDeleted: ['data'], SpaceReclaimed: 500 },
  '/images/prune': { ImagesDeleted: [{ Untagged: 'nginx:1.27' }, { Deleted: imageId }] },
  '/build/prune': { CachesDeleted: [], SpaceReclaimed: 0 },
  '/networks of shop': [{ ...network, Name: 'shop_default' }],
  '/networks/shop_default': '',
  '/volumes of shop': { Volumes: [{ ...volume, Name: 'shop_data' }] },
  '/volumes/shop_data': '',
  '/system/df': {
    LayersSize: 50_000_000,
    ...{ Images: [image], Containers: [container], Volumes: [], BuildCache: [] },
  },
}

/**
 * Answers like an engine with one container `app` of the image `nginx:1.27`, a volume `data` and a network `front`.
 * Other names result in status 404.
 */
export const answerAsEngine: RequestListener = (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://engine')
  const path = decodeURIComponent(pathname)
  const isOfProject = searchParams.get('filters')?.includes('com.docker.compose.project') === true
  const known = (isOfProject && `${path} of shop` in answers ? `${path} of shop` : path)
    .replace(containerId, 'app')
    .replace(imageId, 'nginx:1.27')
    .replace(/^\/containers\/c{12}\//, '/containers/app/')
  const answer = answers[known]
  request.resume()
  if (answer === undefined) {
    const [, kind = 'thing', name = ''] = path.split('/')
    const message = `No such ${kind.replace(/s$/, '')}: ${name}`
    response.writeHead(404).end(JSON.stringify({ message }))
  } else if (Buffer.isBuffer(answer)) {
    response.setHeader('Content-Type', 'application/vnd.docker.multiplexed-stream').end(answer)
  } else response.end(typeof answer === 'string' ? answer : `${JSON.stringify(answer)}\n`)
}
