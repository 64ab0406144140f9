import type { ReadyMachine } from '../../machine/machine.ts'
import { unwritableError } from '../../machine/ssh-config-text.ts'

/** The Terraform resource types of hosts, keyed by driver. */
const resources: Readonly<Record<string, string>> = {
  aws: 'aws_instance',
  azure: 'azurerm_linux_virtual_machine',
}

const resourceName = (name: string): string =>
  name.replaceAll(/[^A-Za-z0-9_-]/g, '_').replace(/^(?=[\d-])/, '_')

/**
 * Formats an HCL string, with template sequences escaped
 * (developer.hashicorp.com/terraform/language/expressions/strings).
 */
function hclString(machine: string, field: string, value: string): string {
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value)) {
    throw unwritableError(machine, field, value, 'it contains a control character')
  }
  return JSON.stringify(value).replaceAll(/[$%](?=\{)/g, '$&$&')
}

/** Unique resource addresses for machines; a number is appended if an address is already taken. */
function nameResources(machines: readonly ReadyMachine[]): readonly string[] {
  const taken = new Set<string>()
  return machines.map(({ name, driver }) => {
    const wanted = `${resources[driver]}.${resourceName(name)}`
    let address = wanted
    for (let number = 2; taken.has(address); number += 1) address = `${wanted}_${number}`
    taken.add(address)
    return address
  })
}

/**
 * Generates import blocks (Terraform 1.5 and OpenTofu) for machines with a provider ID, and lists the names of the
 * other machines.
 */
export function describeForTerraform(machines: readonly ReadyMachine[]): {
  readonly text: string
  readonly skipped: readonly string[]
} {
  const known = machines.filter(
    ({ driver, host }) => Object.hasOwn(resources, driver) && host.id !== undefined,
  )
  const addresses = nameResources(known)
  const blocks = known.map(
    ({ name, host: { id = '' } }, index) =>
      `import {\n  to = ${addresses[index]}\n  id = ${hclString(name, 'id', id)}\n}\n`,
  )
  return {
    text: blocks.join('\n'),
    skipped: machines.filter((machine) => !known.includes(machine)).map(({ name }) => name),
  }
}
