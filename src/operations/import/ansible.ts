import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { labelKeyPattern } from '../../machine/labels.ts'
import {
  type ImportedHost,
  type ImportedHosts,
  machineNameFrom,
  portOf,
  textAt,
  valueAt,
} from './imported-host.ts'

const run = promisify(execFile)

/** In bytes. */
const longestAnswer = 256 * 1024 * 1024

/** Asks ansible itself, which reads all its formats: INI, YAML, folders, plugins, scripts. */
async function askAnsible(
  inventory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<unknown> {
  try {
    const { stdout } = await run('ansible-inventory', ['-i', inventory, '--list'], {
      env,
      maxBuffer: longestAnswer,
    })
    return JSON.parse(stdout) as unknown
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new UserError('unsupported', 'there is no ansible-inventory to read it with', {
        hint: 'install ansible-core on this computer',
        cause: error,
      })
    }
    throw new UserError('usage', `ansible cannot read ${inventory}: ${messageOf(error)}`, {
      hint: `ansible-inventory -i ${inventory} --list`,
      cause: error,
    })
  }
}

const textsAt = (value: unknown, ...keys: readonly string[]): readonly string[] => {
  const list = valueAt(value, ...keys)
  return Array.isArray(list) ? list.map(String) : []
}

/** The hosts of a group and of the groups in it. */
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

/** Groups that every host is in say nothing of it. */
const general = new Set(['all', 'ungrouped', '_meta'])

function labelsFor(host: string, members: ReadonlyMap<string, ReadonlySet<string>>) {
  const groups = [...members].filter(([, hosts]) => hosts.has(host)).map(([group]) => group)
  return Object.fromEntries(groups.map((group) => [group, 'true']))
}

/** Reads the hosts of an inventory of Ansible. Each group that a host is in becomes a label, `web=true`. */
export async function readAnsibleInventory(
  inventory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ImportedHosts> {
  const answer = await askAnsible(inventory, env)
  const groups = Object.keys(answer as object).filter(
    (group) => !general.has(group) && labelKeyPattern.test(group),
  )
  const members = new Map(groups.map((group) => [group, new Set(hostsOf(answer, group))]))
  const found = [...new Set(hostsOf(answer, 'all'))].map((title): ImportedHost | string => {
    const vars = valueAt(answer, '_meta', 'hostvars', title)
    const name = machineNameFrom(title)
    if (name === undefined) return `${title}: that cannot name a machine`
    const connection = textAt(vars, 'ansible_connection')
    if (connection !== undefined && !['ssh', 'smart', 'paramiko'].includes(connection)) {
      return `${title}: it is reached by ${connection}, not by ssh`
    }
    return {
      name,
      address: textAt(vars, 'ansible_host') ?? textAt(vars, 'ansible_ssh_host') ?? title,
      user: textAt(vars, 'ansible_user') ?? textAt(vars, 'ansible_ssh_user'),
      port: portOf(valueAt(vars, 'ansible_port') ?? valueAt(vars, 'ansible_ssh_port')),
      identityFile:
        textAt(vars, 'ansible_ssh_private_key_file') ?? textAt(vars, 'ansible_private_key_file'),
      labels: labelsFor(title, members),
    }
  })
  return {
    hosts: found.filter((host) => typeof host !== 'string'),
    skipped: found.filter((host) => typeof host === 'string'),
  }
}
