import * as fc from 'fast-check'

/** A service of a Compose file that random edits change. */
export interface EditedService {
  image: string
  env: Record<string, string>
  command: string[]
  scale?: number
  replicas?: number
  labels: Record<string, string>
  health: boolean
  dependsOn: Record<string, string>
  shares?: { kind: 'network_mode' | 'ipc' | 'pid' | 'volumes_from'; of: string }
  binds: boolean
  envFile: boolean
  config: boolean
  secret: boolean
  volume: boolean
  network: boolean
  profile: boolean
}

/** A Compose file and the files that it uses, which random edits change. */
export interface EditedProject {
  services: Record<string, EditedService>
  files: Record<string, string>
  networkLabel: string
  inlineConfig: string
}

const serviceNames = ['a', 'b', 'c', 'd'] as const

const newService = (): EditedService => ({
  image: 'bb:1',
  env: { A: '1' },
  command: ['sleep', '900'],
  labels: {},
  health: false,
  dependsOn: {},
  ...{ binds: false, envFile: false, config: false, secret: false, volume: false },
  ...{ network: false, profile: false },
})

export const newProject = (): EditedProject => ({
  services: { a: newService(), b: { ...newService(), binds: true, config: true } },
  files: { 'data/one': '1', 'service.env': 'E=1\n', 'app.conf': 'c\n', token: 's\n' },
  networkLabel: '1',
  inlineConfig: 'i',
})

/** One edit. `index` and `value` determine the target and the new value. */
export interface Edit {
  readonly kind: (typeof editKinds)[number]
  readonly index: number
  readonly value: number
}

const editKinds = [
  'nothing',
  'environment',
  'dollar',
  'command',
  'label',
  'image',
  'scale',
  'replicas',
  'health',
  'depends',
  'share',
  'unshare',
  'binds',
  'env_file',
  'config',
  'secret',
  'volume',
  'network',
  'profile',
  'add',
  'remove',
  'bound file',
  'variables file',
  'config file',
  'secret file',
  'inline config',
  'network definition',
  'other tag',
  'by hand: rm',
] as const

export const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom(...editKinds),
  index: fc.nat(99),
  value: fc.nat(3),
})

/** Makes an edit. Manual edits on the host and edits of tags change nothing here. */
export function applyEdit(project: EditedProject, { kind, index, value }: Edit): void {
  const { services, files } = project
  const names = Object.keys(services)
  const name = names[index % names.length] ?? ''
  const service = services[name]
  if (service === undefined) return
  const other = names[(index + 1 + value) % names.length] ?? ''
  const follows = (one: string, wanted: string): boolean => {
    const next = services[one]
    if (next === undefined) return false
    const all = [...Object.keys(next.dependsOn), ...(next.shares ? [next.shares.of] : [])]
    return all.some((each) => each === wanted || follows(each, wanted))
  }
  const mayFollow = other !== name && !follows(other, name)
  const toggles = {
    health: 'health',
    binds: 'binds',
    env_file: 'envFile',
    config: 'config',
    secret: 'secret',
    volume: 'volume',
    network: 'network',
    profile: 'profile',
  } as const
  if (kind in toggles) {
    const key = toggles[kind as keyof typeof toggles]
    service[key] = !service[key]
  } else if (kind === 'environment') service.env['A'] = String(value)
  else if (kind === 'dollar') service.env['D'] = `$$x${value} "quoted" <&>`
  else if (kind === 'command') service.command = ['sleep', String(900 + value)]
  else if (kind === 'label') service.labels['l'] = String(value)
  else if (kind === 'image') service.image = value % 2 === 0 ? 'bb:1' : 'other:1'
  else if (kind === 'scale') service.scale = value
  else if (kind === 'replicas') service.replicas = value
  else if (kind === 'depends' && mayFollow) service.dependsOn[other] = 'service_started'
  else if (kind === 'share' && mayFollow) {
    const kinds = ['network_mode', 'ipc', 'pid', 'volumes_from'] as const
    service.shares = { kind: kinds[value] ?? 'ipc', of: other }
  } else if (kind === 'unshare') {
    delete service.shares
    service.dependsOn = {}
  } else if (kind === 'add') {
    const free = serviceNames.find((each) => !(each in services))
    if (free !== undefined) services[free] = newService()
  } else if (kind === 'remove' && names.length > 1) {
    delete services[name]
    for (const left of Object.values(services)) {
      delete left.dependsOn[name]
      if (left.shares?.of === name) delete left.shares
    }
  } else if (kind === 'bound file') files[`data/${value % 2 === 0 ? 'one' : 'two'}`] = String(index)
  else if (kind === 'variables file') files['service.env'] = `E=${value}\n`
  else if (kind === 'config file') files['app.conf'] = `${value}\n`
  else if (kind === 'secret file') files['token'] = `${value}\n`
  else if (kind === 'inline config') project.inlineConfig = String(value)
  else if (kind === 'network definition') project.networkLabel = String(value)
}

/** Returns the Compose file of a project, as JSON, which is a subset of YAML. */
export function composeFile({ services, networkLabel, inlineConfig }: EditedProject): string {
  const entries = Object.entries(services).map(([name, service], index) => {
    const { shares, scale, replicas } = service
    const sharesNetwork = shares?.kind === 'network_mode'
    // compose refuses services that share with a service without containers; with several containers, it picks one at
    // random
    const isShared = Object.values(services).some((one) => one.shares?.of === name)
    const isNeeded = isShared || Object.values(services).some((one) => name in one.dependsOn)
    const limit = (count: number | undefined): number | undefined =>
      count === undefined ? undefined : isShared ? 1 : Math.max(isNeeded ? 1 : 0, count)
    const [count, several] = [limit(scale), limit(replicas)]
    const share =
      shares === undefined
        ? {}
        : shares.kind === 'volumes_from'
          ? { volumes_from: [shares.of] }
          : { [shares.kind]: `service:${shares.of}` }
    const binds = service.binds ? ['./data:/data'] : []
    const volumes = service.volume ? ['vol:/vol'] : []
    return [
      name,
      {
        image: service.image,
        environment: service.env,
        command: service.command,
        labels: service.labels,
        stop_grace_period: '0s',
        ...(isSame(count, several) && { scale: count }),
        ...(several !== undefined && { deploy: { replicas: several } }),
        ...(service.health && { healthcheck: { test: ['CMD', 'true'], interval: '5s' } }),
        depends_on: Object.fromEntries(
          Object.entries(service.dependsOn).map(([other, condition]) => [other, { condition }]),
        ),
        volumes: [...binds, ...volumes],
        ...(service.envFile && { env_file: ['service.env'] }),
        ...(service.config && { configs: ['conf', { source: 'inline', target: '/inline' }] }),
        ...(service.secret && { secrets: ['token'] }),
        ...(service.network && !sharesNetwork && { networks: ['extra', 'default'] }),
        ...(service.profile && !isNeeded && index > 0 && { profiles: ['more'] }),
        ...share,
      },
    ]
  })
  return JSON.stringify({
    services: Object.fromEntries(entries),
    configs: { conf: { file: './app.conf' }, inline: { content: inlineConfig } },
    secrets: { token: { file: './token' } },
    volumes: { vol: {} },
    networks: { extra: { labels: { l: networkLabel } }, default: {} },
  })
}

/** Returns whether a scale can be written: compose refuses a scale that differs from the number of replicas. */
const isSame = (scale: number | undefined, replicas: number | undefined): boolean =>
  scale !== undefined && (replicas === undefined || replicas === scale)
