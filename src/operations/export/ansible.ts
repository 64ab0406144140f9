import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import { checkHostName, checkUser, unwritableError } from '../../machine/ssh-config-text.ts'
import { shellQuote } from '../../os/shell-quote.ts'

type Vars = Readonly<Record<string, string>>
type Group = { readonly hosts: readonly string[] } | { readonly children: readonly string[] }

/** An Ansible inventory, in the format of a dynamic inventory script (`--list`). */
type AnsibleInventory = Readonly<
  Record<string, Group | { readonly hostvars: Readonly<Record<string, Vars>> }>
>

/** Converts text to a group name, which must be a valid Python identifier. */
const groupName = (text: string): string => text.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_')

/** The groups that a machine belongs to: one for its driver, and one for each of its labels. */
const groupsOf = ({ driver, labels = {} }: Machine): readonly string[] =>
  [`driver=${driver}`, ...Object.entries(labels).map((pair) => pair.join('='))].map(groupName)

/**
 * Rejects values that contain Jinja templates. Ansible would evaluate them, which can run commands on the user's
 * computer.
 */
function literal(machine: string, field: string, value: string): string {
  if (/\{[{%#]/.test(value)) {
    throw unwritableError(machine, field, value, 'Ansible would treat it as a template')
  }
  return value
}

/**
 * The host variables of a machine. Ansible connects with an SSH configuration written by fleet, so that it uses fleet's
 * addresses, jump hosts, keys and pinned host keys.
 */
function varsOf({ name, driver, host, labels = {} }: ReadyMachine, sshConfig: string): Vars {
  const labelVars = Object.entries(labels).map(([key, value]) => [
    `fleet_${groupName(key)}`,
    literal(name, `label ${key}`, value),
  ])
  return {
    ...(host.address === undefined
      ? { ansible_connection: 'local' }
      : {
          ansible_host: name,
          ansible_ssh_common_args: literal(
            name,
            'ssh configuration',
            `-F ${shellQuote(sshConfig)}`,
          ),
          fleet_address: checkHostName(name, 'address', host.address),
        }),
    ...(host.user !== undefined && {
      ansible_user: literal(name, 'user', checkUser(name, host.user)),
    }),
    fleet_driver: literal(name, 'driver', driver),
    ...(Object.fromEntries(labelVars) as Vars),
  }
}

/**
 * Describes machines for Ansible (docs.ansible.com, "Developing dynamic inventory"). Throws kind `inventory` for values that
 * Ansible would evaluate.
 */
export function describeForAnsible(
  machines: readonly ReadyMachine[],
  sshConfig: string,
): AnsibleInventory {
  const groups = new Map<string, string[]>()
  for (const machine of machines) {
    for (const group of groupsOf(machine)) {
      groups.set(group, [...(groups.get(group) ?? []), machine.name])
    }
  }
  return {
    _meta: {
      hostvars: Object.fromEntries(
        machines.map((machine) => [machine.name, varsOf(machine, sshConfig)]),
      ),
    },
    all: { children: ['ungrouped', ...groups.keys()] },
    ...Object.fromEntries([...groups].map(([group, hosts]) => [group, { hosts }])),
  }
}

/** A dynamic inventory script that runs fleet. It must be stored next to machines.yaml and be executable. */
export const ansibleScript = `#!/bin/sh
# Ansible inventory: the machines in this directory's machines.yaml.
cd "$(dirname "$0")" && exec fleet export ansible "$@"
`
