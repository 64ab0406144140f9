import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { labelKeyPattern } from '../../../machine/labels.ts'
import {
  type ImportedHosts,
  type ReadHost,
  type SkippedHost,
  listAt,
  nameHosts,
  portOf,
  textAt,
  valueAt,
} from '../imported-host.ts'
import { type Filled, askAnsible, fillTemplates, isTemplate, usesLookups } from './ask-ansible.ts'
import { readSshArguments } from './ssh-arguments.ts'
import type { Environment } from '../../../os/environment.ts'

/** The variables that Ansible's ssh connection plugin reads (ansible-doc -t connection ssh). */
const variables = {
  address: ['ansible_host', 'ansible_ssh_host'],
  user: ['ansible_user', 'ansible_ssh_user'],
  port: ['ansible_port', 'ansible_ssh_port'],
  identityFile: ['ansible_ssh_private_key_file', 'ansible_private_key_file'],
  connection: ['ansible_connection'],
  arguments: ['ansible_ssh_args', 'ansible_ssh_common_args', 'ansible_ssh_extra_args'],
} as const

const variableNames: readonly string[] = Object.values(variables).flat()

/** The short and full names of the connection plugins that use SSH (ansible-doc -t connection -l). */
const sshConnections = new Set([
  ...['ssh', 'smart', 'paramiko', 'paramiko_ssh'],
  ...['ansible.builtin.ssh', 'ansible.builtin.paramiko_ssh', 'ansible.legacy.ssh'],
])

const textsAt = (value: unknown, ...keys: readonly string[]): readonly string[] =>
  listAt(value, ...keys).map(String)

/** The hosts in a group and in its child groups. */
function hostsOf(
  answer: unknown,
  group: string,
  passed: readonly string[] = [],
): readonly string[] {
  if (passed.includes(group)) return []
  return [
    ...textsAt(answer, group, 'hosts'),
    ...textsAt(answer, group, 'children').flatMap((child) =>
      hostsOf(answer, child, [...passed, group]),
    ),
  ]
}

/** Ansible's built-in groups, which do not become labels. */
const general = new Set(['all', 'ungrouped', '_meta'])

function labelsFor(host: string, members: ReadonlyMap<string, ReadonlySet<string>>) {
  const groups = [...members].filter(([, hosts]) => hosts.has(host)).map(([group]) => group)
  return Object.fromEntries(groups.map((group) => [group, 'true']))
}

/** The connection variables of a host, with their templates evaluated, or the reason why the evaluation failed. */
function variablesOf(
  vars: unknown,
  filled: Filled | undefined,
): Readonly<Record<string, unknown>> | string {
  const own = Object.fromEntries(variableNames.map((name) => [name, valueAt(vars, name)]))
  const template = Object.entries(own).find(([, value]) => isTemplate(value))
  if (template === undefined) return own
  const [name, text] = template
  const reason = `the value of ${name} is the template ${JSON.stringify(text)}, which was not evaluated`
  if (filled?.values === undefined) {
    return filled?.problem === undefined ? reason : `${reason}: ${filled.problem.slice(0, 300)}`
  }
  return filled.values
}

/** Resolves the path of a private key as Ansible does: relative to the inventory, or else to the working directory. */
async function findIdentityFile(
  file: string,
  inventory: string,
  { HOME: home = homedir() }: Environment,
): Promise<string> {
  const expanded = file.replace(/^~(?=\/|$)/, home)
  if (isAbsolute(expanded)) return expanded
  const beside = join(dirname(inventory), expanded)
  return access(beside).then(
    () => beside,
    () => resolve(expanded),
  )
}

/** Reads the hosts of an Ansible inventory. Each group that a host belongs to becomes a label, such as `web=true`. */
export async function readAnsibleInventory(
  inventory: string,
  env: Environment,
): Promise<ImportedHosts> {
  const { inventory: answer, warnings } = await askAnsible(inventory, env)
  const groups = Object.keys(answer as object).filter(
    (group) => !general.has(group) && labelKeyPattern.test(group),
  )
  const members = new Map(groups.map((group) => [group, new Set(hostsOf(answer, group))]))
  const titles = [...new Set(hostsOf(answer, 'all'))]
  const varsOf = (title: string): unknown => valueAt(answer, '_meta', 'hostvars', title)
  const isTemplated = titles.some((title) =>
    variableNames.some((name) => isTemplate(valueAt(varsOf(title), name))),
  )
  const filled =
    isTemplated && !usesLookups(answer)
      ? await fillTemplates(inventory, variableNames, env)
      : new Map<string, Filled>()

  const readHost = async (title: string): Promise<ReadHost | SkippedHost> => {
    const vars = variablesOf(varsOf(title), filled.get(title))
    if (typeof vars === 'string') return { title, reason: vars }
    const first = (names: readonly string[]): string | undefined => {
      const value = names.map((name) => vars[name]).find((one) => one !== undefined && one !== null)
      return typeof value === 'number' ? String(value) : textAt({ value }, 'value')
    }
    const connection = first(variables.connection)
    if (connection !== undefined && !sshConnections.has(connection)) {
      return { title, reason: `Ansible connects to this host over ${connection}, not SSH` }
    }
    const texts = variables.arguments.map((name) => textAt(vars, name) ?? '')
    const sshArguments = readSshArguments(texts.join(' '))
    if (sshArguments.unsupported !== undefined) return { title, reason: sshArguments.unsupported }
    const file = first(variables.identityFile) ?? sshArguments.identityFile
    const identityFile =
      file === undefined ? undefined : await findIdentityFile(file, inventory, env)
    return {
      titles: [title],
      host: {
        address: first(variables.address) ?? title,
        user: first(variables.user) ?? sshArguments.user,
        port: portOf(first(variables.port) ?? sshArguments.port),
        identityFile,
        labels: labelsFor(title, members),
        followsSshConfig: true,
        ...(sshArguments.jumps && { jumps: sshArguments.jumps }),
      },
    }
  }
  const { hosts, skipped } = nameHosts(await Promise.all(titles.map(readHost)))
  return {
    hosts,
    skipped: [...warnings.map((reason) => ({ title: inventory, reason })), ...skipped],
  }
}
