import type { MachineName } from '../../machine/name.ts'

/** What the parts of one host are called. */
export interface Names {
  readonly machine: string
  readonly networkInterface: string
  readonly publicAddress: string
  readonly securityGroup: string
  readonly network: string
  readonly disk: string
}

/**
 * The name that all parts of a host share: the machine's, so that people find it in the portal, and the token's
 * beginning, so that an attempt which ends before anything is recorded is found again. A virtual machine's
 * name has at most 64 characters.
 */
export function baseName(machine: MachineName | string, token: string): string {
  const readable = machine.slice(0, 40).replace(/[^A-Za-z0-9]+$/, '')
  return `${readable}${nameEnding(token)}`
}

/** How all names end that fleet gives to what it makes for a token. */
export const nameEnding = (token: string): string =>
  `-${token.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 12)}`

/** The resource group of one host, where it has its own. */
export const ownGroupName = (base: string): string => `fleet-${base}`

/** The names of a host's parts. */
export const namesOf = (base: string): Names => ({
  machine: base,
  networkInterface: `${base}-nic`,
  publicAddress: `${base}-ip`,
  securityGroup: `${base}-nsg`,
  network: `${base}-vnet`,
  disk: `${base}-disk`,
})
