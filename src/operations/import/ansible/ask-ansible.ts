import { access, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execProgram } from '../../../os/exec-file.ts'
import { UserError, codeOf, fileProblemOf, messageOf } from '../../../errors.ts'
import { textAt } from '../imported-host.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { traceError } from '../../../os/trace.ts'
import type { Environment } from '../../../os/environment.ts'

/** The maximum output of Ansible, in bytes. */
const longestAnswer = 256 * 1024 * 1024

/** An inventory as Ansible has parsed it. */
export interface AnsibleAnswer {
  /** The parsed output of `ansible-inventory --list`. */
  readonly inventory: unknown
  /** Warnings about parts that Ansible could not read. */
  readonly warnings: readonly string[]
}

/** Collects the warnings from `[WARNING]: …` lines, which Ansible wraps at the width of a terminal. */
function warningsIn(stderr: string): readonly string[] {
  const warnings: string[] = []
  for (const line of stderr.split('\n')) {
    const [, text] = /^\[WARNING\]:\s*(?:\*\s*)?(.*)$/.exec(line) ?? []
    if (text !== undefined) warnings.push(text.trim())
    else if (warnings.length > 0 && line.trim() !== '' && !line.startsWith('[')) {
      warnings.push(`${warnings.pop()} ${line.trim()}`)
    }
  }
  return warnings
}

/**
 * Reads an inventory with Ansible itself, which supports all inventory formats: INI, YAML, directories, plugins and
 * scripts.
 */
export async function askAnsible(inventory: string, env: Environment): Promise<AnsibleAnswer> {
  await access(inventory).catch((error: unknown) => {
    const why = fileProblemOf(error)
    throw new UserError('usage', `cannot read ${inventory}: ${why}`, { cause: error })
  })
  try {
    const { stdout, stderr } = await execProgram('ansible-inventory', ['-i', inventory, '--list'], {
      env: { ...env, ANSIBLE_INVENTORY_UNPARSED_FAILED: 'true', ANSIBLE_NOCOLOR: 'true' },
      maxBuffer: longestAnswer,
    })
    return { inventory: JSON.parse(stdout) as unknown, warnings: warningsIn(stderr) }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new UserError('unsupported', 'ansible-inventory is not installed', {
        hint: 'install ansible-core on this computer',
        cause: error,
      })
    }
    const { stderr = '' } = error as { readonly stderr?: string }
    const [why] = warningsIn(stderr)
    throw new UserError('usage', `Ansible cannot read ${inventory}: ${why ?? messageOf(error)}`, {
      hint: `to see the full output: ansible-inventory -i ${shellQuote(inventory)} --list`,
      cause: error,
    })
  }
}

/** Whether a value is a Jinja2 template, which Ansible evaluates only when it runs a task. */
export const isTemplate = (value: unknown): boolean =>
  typeof value === 'string' && /\{\{|\{%/.test(value)

/**
 * Whether any template in an inventory uses lookups, which can run programs and read files. Such an inventory is not
 * evaluated.
 */
export function usesLookups(inventory: unknown): boolean {
  return /\{[{%][^}]*\b(?:lookup|query|q)\s*\(/.test(JSON.stringify(inventory))
}

/** A host's variables after evaluation, or the error. */
export interface Filled {
  readonly values?: Readonly<Record<string, unknown>>
  readonly problem?: string
}

/**
 * Makes Ansible evaluate the templates in variables for each host, with a debug task, which does not connect to any
 * host. Hosts without a result are absent.
 */
export async function fillTemplates(
  inventory: string,
  variables: readonly string[],
  env: Environment,
): Promise<ReadonlyMap<string, Filled>> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-ansible-'))
  try {
    const values = variables.map((name) => `"${name}": ${name}|default(none)`).join(', ')
    const task = [
      '-m',
      'ansible.builtin.debug',
      '-a',
      `msg={{ {${values}} | to_json | b64encode }}`,
    ]
    const args = ['-i', inventory, 'all', ...task, '-f', '20', '-t', folder]
    // The command fails if any template fails, but the directory contains the result for each host.
    const { failed } = await execProgram('ansible', args, { env, maxBuffer: longestAnswer }).then(
      () => ({ failed: undefined }),
      (error: unknown) => ({ failed: error }),
    )
    if (codeOf(failed) === 'ENOENT') return new Map()
    return await readTree(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Reads the output of `ansible --tree`: a JSON file for each host. */
async function readTree(folder: string): Promise<ReadonlyMap<string, Filled>> {
  const filled = new Map<string, Filled>()
  for (const host of await readdir(folder)) {
    const answer = JSON.parse(await readFile(join(folder, host), 'utf8')) as unknown
    const message = textAt(answer, 'msg') ?? ''
    try {
      const text = Buffer.from(message, 'base64').toString('utf8')
      filled.set(host, { values: JSON.parse(text) as Readonly<Record<string, unknown>> })
    } catch (error) {
      traceError('command', 'ask Ansible', error)
      filled.set(host, { problem: message })
    }
  }
  return filled
}
