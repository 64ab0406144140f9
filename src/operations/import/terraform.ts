import type { HostId } from '../adopt-known-host.ts'
import {
  type ImportedHost,
  type ImportedHosts,
  machineNameFrom,
  readJsonFile,
  textAt,
  valueAt,
} from './imported-host.ts'

type Keys = readonly (string | number)[]

/** Where a resource of Terraform has a host's address and name. */
interface Shape {
  readonly addresses: readonly Keys[]
  readonly names: readonly Keys[]
  readonly users?: readonly Keys[]
  /** What fleet's driver asks the provider for. */
  readonly known?: (attributes: unknown) => HostId | undefined
}

const plainShape: Shape = { addresses: [['ipv4_address']], names: [['name']] }
const azureShape: Shape = {
  addresses: [['public_ip_address'], ['private_ip_address']],
  names: [['name']],
  users: [['admin_username']],
  known(attributes) {
    const id = textAt(attributes, 'id')
    // The older kind of resource says nothing of addresses.
    const isPrivate = textAt(attributes, 'public_ip_address') === undefined
    const privateOnly = isPrivate && textAt(attributes, 'private_ip_address') !== undefined
    if (id === undefined) return undefined
    return { driver: 'azure', id, options: privateOnly ? { privateOnly } : {} }
  },
}
const awsShape: Shape = {
  addresses: [['public_ip'], ['private_ip']],
  names: [['tags', 'Name']],
  known(attributes) {
    const id = textAt(attributes, 'id')
    const region = /^arn:[^:]*:ec2:([^:]+):/.exec(textAt(attributes, 'arn') ?? '')?.[1]
    const privateOnly = textAt(attributes, 'public_ip') === undefined
    if (id === undefined || region === undefined) return undefined
    return { driver: 'aws', id, options: { region, ...(privateOnly && { privateOnly }) } }
  },
}

/** The kinds of resources that are hosts. */
const shapes: Readonly<Record<string, Shape>> = {
  aws_instance: awsShape,
  azurerm_linux_virtual_machine: azureShape,
  azurerm_virtual_machine: azureShape,
  google_compute_instance: {
    addresses: [
      ['network_interface', 0, 'access_config', 0, 'nat_ip'],
      ['network_interface', 0, 'network_ip'],
    ],
    names: [['name']],
  },
  digitalocean_droplet: plainShape,
  hcloud_server: plainShape,
  openstack_compute_instance_v2: { addresses: [['access_ip_v4']], names: [['name']] },
}

const first = (value: unknown, paths: readonly Keys[] = []): string | undefined =>
  paths.map((keys) => textAt(value, ...keys)).find((text) => text !== undefined)

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function hostFrom(shape: Shape, title: string, attributes: unknown): ImportedHost | string {
  const name = machineNameFrom(first(attributes, shape.names) ?? title)
  const address = first(attributes, shape.addresses)
  const known = shape.known?.(attributes)
  if (name === undefined) return `${title}: that cannot name a machine`
  if (address === undefined && known === undefined) return `${title}: it has no address`
  return {
    name,
    ...(address !== undefined && { address }),
    user: first(attributes, shape.users),
    ...(known && { known }),
  }
}

/** Reads the hosts in a state of Terraform or OpenTofu (version 4 of the format). They stay Terraform's to make and destroy. */
export async function readTerraformState(file: string): Promise<ImportedHosts> {
  const state = await readJsonFile(file)
  const version = valueAt(state, 'version')
  if (version !== 4) {
    return {
      hosts: [],
      skipped: [`${file}: version ${JSON.stringify(version)} of the format; 4 is known`],
    }
  }
  const found = listOf(valueAt(state, 'resources')).flatMap((resource) => {
    const type = textAt(resource, 'type') ?? ''
    const shape = shapes[type]
    if (textAt(resource, 'mode') !== 'managed' || shape === undefined) return []
    return listOf(valueAt(resource, 'instances')).map((instance) => {
      const index = valueAt(instance, 'index_key')
      const key = typeof index === 'string' || typeof index === 'number' ? `-${index}` : ''
      const title = `${textAt(resource, 'name')}${key}`
      return hostFrom(shape, title, valueAt(instance, 'attributes'))
    })
  })
  return {
    hosts: found.filter((host) => typeof host !== 'string'),
    skipped: found.filter((host) => typeof host === 'string'),
  }
}
