import type { ReadyMachine } from '../../machine/machine.ts'

/** The kinds of resources that the hosts of drivers are. */
const resources: Readonly<Record<string, string>> = {
  aws: 'aws_instance',
  azure: 'azurerm_linux_virtual_machine',
}

const resourceName = (name: string): string =>
  name.replaceAll(/[^A-Za-z0-9_-]/g, '_').replace(/^(?=[\d-])/, '_')

/** Import blocks (Terraform 1.5 and OpenTofu) for machines that a provider knows by an id, and the names of the others. */
export function describeForTerraform(machines: readonly ReadyMachine[]): {
  readonly text: string
  readonly leftOut: readonly string[]
} {
  const known = machines.filter(
    ({ driver, host }) => resources[driver] !== undefined && host.id !== undefined,
  )
  const blocks = known.map(
    ({ name, driver, host }) =>
      `import {\n  to = ${resources[driver]}.${resourceName(name)}\n  id = ${JSON.stringify(host.id)}\n}\n`,
  )
  return {
    text: blocks.join('\n'),
    leftOut: machines.filter((machine) => !known.includes(machine)).map(({ name }) => name),
  }
}
