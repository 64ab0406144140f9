import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError, messageOf } from '../../errors.ts'
import { execProgram } from '../../os/exec-file.ts'
import { traceWork } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/** The result of a git command. */
interface GitResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Maximum output in bytes; about 100,000 machines. */
const maxOutput = 256 * 1024 * 1024

/**
 * Settings that keep git from running programs that the configuration of a clone names: another
 * user may have created the clone, and fleet runs git even when the user only lists machines.
 * Filters and merge drivers have no such setting, so fleet runs no git command that uses them.
 */
const safeSettings = [
  ...[
    'core.fsmonitor=false',
    'core.hooksPath=/dev/null',
    'core.pager=cat',
    'diff.external=',
    'log.showSignature=false',
  ],
  ...['commit.gpgSign=false', 'gc.auto=0', 'maintenance.auto=false'],
].flatMap((setting) => ['-c', setting])

/**
 * Missing objects of a partial clone are not fetched, because that would run commands from the
 * clone's remotes.
 */
const safeVariables = {
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_TERMINAL_PROMPT: '0',
}

/**
 * Runs git in a directory, without programs that the configuration of a clone names. Throws kind
 * `unsupported` if git is not installed.
 */
export async function runGit(
  folder: string,
  args: readonly string[],
  env: Environment,
): Promise<GitResult> {
  const verb = args.find((word) => !word.startsWith('-')) ?? ''
  const options = { cwd: folder, env: { ...env, ...safeVariables }, maxBuffer: maxOutput }
  const run = async (): Promise<GitResult> => {
    try {
      const words = ['--no-pager', ...safeSettings, ...args]
      return { code: 0, ...(await execProgram('git', words, options)) }
    } catch (error) {
      const { code, stdout = '', stderr = '' } = error as Partial<GitResult>
      if (typeof code === 'number') return { code, stdout, stderr }
      throw new UserError('unsupported', `cannot run git: ${messageOf(error)}`, { cause: error })
    }
  }
  return traceWork('git', `git ${verb} in ${folder}`, run, ({ code }) => `exit code ${code}`)
}

/** The versions of a three-way merge. */
export interface Versions {
  readonly base: string
  readonly ours: string
  readonly theirs: string
}

/** The result of a line merge. Conflicts are between conflict markers. */
export interface MergedLines {
  readonly text: string
  readonly isClean: boolean
}

/** Merges lines as git does (git-merge-file(1)). */
export async function mergeLines(versions: Versions, env: Environment): Promise<MergedLines> {
  const { base, ours, theirs } = versions
  if (ours === theirs || theirs === base) return { text: ours, isClean: true }
  if (ours === base) return { text: theirs, isClean: true }
  const folder = await mkdtemp(join(env['TMPDIR'] ?? tmpdir(), 'fleet-merge-'))
  try {
    for (const [name, text] of Object.entries(versions)) await writeFile(join(folder, name), text)
    const labels = ['ours', 'base', 'theirs'].flatMap((label) => ['-L', label])
    const args = ['merge-file', '-p', '-q', ...labels, 'ours', 'base', 'theirs']
    const { code, stdout, stderr } = await runGit(folder, args, env)
    if (code > 127) throw new Error(`git merge-file: ${stderr}`) // smaller codes are the number of conflicts
    return { text: stdout, isClean: code === 0 }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
