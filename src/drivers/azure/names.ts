import type { MachineName } from '../../machine/name.ts'

/** Names of a host's resources. */
export interface ResourceNames {
  readonly machine: string
  readonly networkInterface: string
  readonly publicAddress: string
  readonly securityGroup: string
  readonly network: string
  readonly disk: string
}

/**
 * Returns the common prefix of the names: the machine's name, so that users recognize it in the portal, and the start
 * of the token, so that resources are found even if the attempt recorded nothing. The name of a virtual machine can
 * have at most 64 characters.
 */
export function baseName(machine: MachineName | string, token: string): string {
  const readable = machine.slice(0, 40).replace(/[^A-Za-z0-9]+$/, '')
  return `${readable}${nameEnding(token)}`
}

/** Returns the suffix that the names of all resources created for a token have. */
export const nameEnding = (token: string): string =>
  `-${token.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 12)}`

/** Returns the name of the resource group that fleet creates for a host. */
export const ownGroupName = (base: string): string => `fleet-${base}`

/** Returns the names of a host's resources. */
export const namesOf = (base: string): ResourceNames => ({
  machine: base,
  networkInterface: `${base}-nic`,
  publicAddress: `${base}-ip`,
  securityGroup: `${base}-nsg`,
  network: `${base}-vnet`,
  disk: `${base}-disk`,
})
