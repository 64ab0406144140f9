import { readCommand } from '../../docker/verbs.ts'
import { findProgram } from '../../os/find-program.ts'
import { execProgram } from '../../os/exec-file.ts'
import type { Completes } from '../command.ts'
import type { Candidate } from './inventory-names.ts'
import type { Environment } from '../../os/environment.ts'

const words = (text: string): string[] => text.split(/\s+/)

/**
 * The kinds of names that docker commands take as their first argument; the commands in `repeated` accept several of
 * them. Source: docker's own completion, release 28.
 */
const names: readonly { readonly verbs: readonly string[]; readonly takes: Completes }[] = [
  {
    verbs: words('exec attach stop kill pause top port stats unpause'),
    takes: 'running-container',
  },
  { verbs: ['start'], takes: 'stopped-container' },
  {
    verbs: words('logs restart rm rename update wait diff commit export inspect'),
    takes: 'container',
  },
  { verbs: words('run create rmi tag push save history'), takes: 'image' },
]
const imageVerbs = words('rm inspect tag push save history')
const repeated = new Set(
  words('stop kill pause stats unpause start restart rm update wait inspect rmi save'),
)

/**
 * Returns the kind of name that completes the last word of a docker command line; undefined if the command takes no
 * name there.
 */
export function namesAt(line: readonly string[]): Completes | undefined {
  const [group, second = ''] = line
  const isGroup = group === 'container' || group === 'image'
  const verb = isGroup ? second : (group ?? '')
  const rest = line.slice(isGroup ? 2 : 1)
  if (rest.length === 0) return undefined
  const read = readCommand(line)?.words
  if (read !== undefined) {
    const operands = read.filter(({ kind }) => kind === 'operand')
    const last = read.at(-1)
    const isFirst = last?.kind === 'operand' && (operands.length === 1 || repeated.has(verb))
    if (!isFirst) return undefined
  } else {
    const before = rest.slice(0, -1).filter((word) => !word.startsWith('-'))
    if (before.length > 0 && !repeated.has(verb)) return undefined
  }
  if (group === 'image') return imageVerbs.includes(verb) ? 'image' : undefined
  return names.find(({ verbs }) => verbs.includes(verb))?.takes
}

/** The time limit for the docker CLI, in milliseconds. */
const timeoutMs = 2_000

/**
 * Resolves to docker's options for the last word, as listed by the local docker CLI; empty if docker is not installed.
 */
export async function completeDockerOption(
  line: readonly string[],
  env: Environment,
): Promise<Candidate[]> {
  const docker = await findProgram('docker', env)
  if (docker === undefined) return []
  const { stdout } = await execProgram(docker, ['__complete', ...line], { env, timeout: timeoutMs })
  // The output has a line `WORD<tab>DESCRIPTION` for each option, and ends with `:DIRECTIVE` (cobra's shell
  // completions).
  return stdout.split('\n').flatMap((text) => {
    const [word = '', description = ''] = text.split('\t')
    return word.startsWith('-') ? [{ word, description }] : []
  })
}
