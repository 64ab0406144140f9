import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import { checkHostName, checkUser, unwritable } from '../../machine/ssh-config-text.ts'
import { shellQuote } from '../../os/shell-quote.ts'

type Vars = Readonly<Record<string, string>>
type Group = { readonly hosts: readonly string[] } | { readonly children: readonly string[] }

/** An inventory of Ansible, as a script answers `--list` with. */
type AnsibleInventory = Readonly<
  Record<string, Group | { readonly hostvars: Readonly<Record<string, Vars>> }>
>

/** The name of a group: Ansible wants it to be one of a variable of Python. */
const groupName = (text: string): string => text.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_')

/** The groups that a machine is in: its driver, and each of its labels. */
const groupsOf = ({ driver, labels = {} }: Machine): readonly string[] =>
  [`driver=${driver}`, ...Object.entries(labels).map((pair) => pair.join('='))].map(groupName)

/** Ansible takes text of an inventory for a template of Jinja, which can run commands on the computer of whoever uses it. */
function literal(machine: string, field: string, value: string): string {
  if (/\{[{%#]/.test(value)) {
    throw unwritable(machine, field, value, 'Ansible would treat it as a template')
  }
  return value
}

/**
 * How Ansible reaches a machine: by ssh with a configuration that fleet wrote, so that addresses, jump hosts, keys and pinned
 * host keys are fleet's.
 */
function varsOf({ name, driver, host, labels = {} }: ReadyMachine, sshConfig: string): Vars {
  const said = Object.entries(labels).map(([key, value]) => [
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
    ...(Object.fromEntries(said) as Vars),
  }
}

/**
 * Describes machines for Ansible (docs.ansible.com, "Developing dynamic inventory"). Throws kind `inventory` on what
 * Ansible would not take for the text that it is.
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

/** An inventory of Ansible that asks fleet each time: to be kept beside machines.yaml, executable. */
export const ansibleScript = `#!/bin/sh
# Ansible inventory: the machines in the machines.yaml of this folder.
cd "$(dirname "$0")" && exec fleet export ansible "$@"
`
