import type { HostId } from '../../adopt/adopt-known-host.ts'
import { textAt } from '../imported-host.ts'

/** The path to a value in an object's attributes. */
export type Path = readonly (string | number)[]

/** The attributes of a resource type that contain the address, name and user of a host. */
export interface ResourceKind {
  /** The paths to addresses, with public addresses before private ones. */
  readonly addresses: readonly Path[]
  readonly names: readonly Path[]
  readonly users?: readonly Path[]
}

const named = (...addresses: readonly Path[]): ResourceKind => ({ addresses, names: [['name']] })

/** Resource types whose `network_interface` has the same format as in Google's provider. */
const googleKind = named(
  ['network_interface', 0, 'access_config', 0, 'nat_ip'],
  ['network_interface', 0, 'network_ip'],
)

/**
 * The resource types of hosts, except those of AWS and Azure, for which fleet has drivers (source: the providers'
 * documentation).
 */
export const resourceKinds: Readonly<Record<string, ResourceKind>> = {
  alicloud_instance: { addresses: [['public_ip'], ['private_ip']], names: [['instance_name']] },
  aws_lightsail_instance: {
    addresses: [['public_ip_address'], ['private_ip_address']],
    names: [['name']],
    users: [['username']],
  },
  civo_instance: {
    addresses: [['public_ip'], ['private_ip']],
    names: [['hostname']],
    users: [['initial_user']],
  },
  digitalocean_droplet: named(['ipv4_address'], ['ipv4_address_private']),
  equinix_metal_device: {
    addresses: [['access_public_ipv4'], ['access_private_ipv4']],
    names: [['hostname']],
  },
  exoscale_compute_instance: named(['public_ip_address']),
  google_compute_instance: googleKind,
  google_compute_instance_from_template: googleKind,
  hcloud_server: named(['ipv4_address'], ['ipv6_address'], ['network', 0, 'ip']),
  huaweicloud_compute_instance: named(['public_ip'], ['access_ip_v4']),
  incus_instance: named(['ipv4_address']),
  libvirt_domain: named(['network_interface', 0, 'addresses', 0]),
  linode_instance: { addresses: [['ip_address'], ['private_ip_address']], names: [['label']] },
  lxd_instance: named(['ipv4_address']),
  oci_core_instance: { addresses: [['public_ip'], ['private_ip']], names: [['display_name']] },
  openstack_compute_instance_v2: named(['access_ip_v4'], ['network', 0, 'fixed_ip_v4']),
  proxmox_vm_qemu: named(['default_ipv4_address'], ['ssh_host']),
  scaleway_instance_server: named(['public_ip'], ['public_ips', 0, 'address'], ['private_ip']),
  tencentcloud_instance: {
    addresses: [['public_ip'], ['private_ip']],
    names: [['instance_name']],
  },
  upcloud_server: {
    addresses: [['network_interface', 0, 'ip_address']],
    names: [['hostname'], ['title']],
  },
  vsphere_virtual_machine: named(['default_ip_address']),
  vultr_instance: { addresses: [['main_ip'], ['internal_ip']], names: [['label'], ['hostname']] },
  yandex_compute_instance: named(
    ['network_interface', 0, 'nat_ip_address'],
    ['network_interface', 0, 'ip_address'],
  ),
}

/** Resource types whose names suggest a host. */
const hostLike = /_(?:instance|server|virtual_machine|vm|droplet|domain|device|node)(?:_v\d)?$/
const groupLike = /_(?:autoscaling_group|scale_set|instance_group_manager|instance_pool)$/
/** Exceptions to `hostLike`: databases, caches, profiles, templates and managed services. */
const serviceLike =
  /(?:_db_|_rds_|_sql|sql_|_neptune|_docdb|redis|cache|_cluster|_dms_|connect_instance|notebook|_dns|cognito|_resource_server|_app_|_api_|grafana|windows|bastion|spanner|bigtable|filestore|looker|server_farm|analysis_services|mariadb|postgres|data_fusion|transfer_server|_iot|memcache|alloydb|ssoadmin|directory|cdn)/

/** The reason why objects of an unknown type are skipped; undefined if the type does not look like a host. */
export function unknownKindReason(type: string): string | undefined {
  if (groupLike.test(type)) return `the state does not list the hosts that ${type} resources create`
  if (!hostLike.test(type) || serviceLike.test(type)) return undefined
  return `fleet does not know which ${type} attribute contains the address; adopt the host by its address: fleet adopt USER@ADDRESS`
}

/** Returns the first non-empty string found at one of the paths. */
export const firstText = (value: unknown, paths: readonly Path[] = []): string | undefined =>
  paths.map((keys) => textAt(value, ...keys)).find((text) => text !== undefined)

/** A host of a provider for which fleet has a driver. */
export interface ProviderHost {
  readonly address: string | undefined
  readonly known: HostId | undefined
}
