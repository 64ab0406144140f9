import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../errors.ts'
import { traceWork } from '../../os/trace.ts'

/** Environment variables, as `process.env` has them. */
type Environment = Readonly<Record<string, string | undefined>>

/** How a git command ended. */
interface GitAnswer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** In bytes; some 100,000 machines. */
const longestAnswer = 256 * 1024 * 1024

/**
 * What keeps git from running programs that the configuration of a clone names: a clone may be somebody else's, and fleet
 * calls git where the person only meant to list machines or to write one down. Filters and merge drivers have no such
 * setting: fleet calls no command of git that uses them.
 */
const guards = [
  ...[
    'core.fsmonitor=false',
    'core.hooksPath=/dev/null',
    'core.pager=cat',
    'diff.external=',
    'log.showSignature=false',
  ],
  ...['commit.gpgSign=false', 'gc.auto=0', 'maintenance.auto=false'],
].flatMap((setting) => ['-c', setting])

/** No object is fetched that a partial clone lacks: that would run what the clone says of its remotes. */
const guardVariables = {
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_TERMINAL_PROMPT: '0',
}

/** Runs git in a folder, and nothing that the configuration of a clone names. Throws kind `unsupported` where there is none. */
export async function runGit(
  folder: string,
  args: readonly string[],
  env: Environment,
): Promise<GitAnswer> {
  const verb = args.find((word) => !word.startsWith('-')) ?? ''
  const run = () =>
    new Promise<GitAnswer>((resolve, reject) => {
      execFile(
        'git',
        ['--no-pager', ...guards, ...args],
        { cwd: folder, env: { ...env, ...guardVariables }, maxBuffer: longestAnswer },
        (error, stdout, stderr) => {
          if (error === null) resolve({ code: 0, stdout, stderr })
          else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr })
          else {
            reject(
              new UserError('unsupported', `cannot run git: ${error.message}`, { cause: error }),
            )
          }
        },
      )
    })
  return traceWork('git', `git ${verb} in ${folder}`, run, ({ code }) => `exit code ${code}`)
}

/** Three states of a text: what two sides began with, and what each made of it. */
export interface Versions {
  readonly base: string
  readonly ours: string
  readonly theirs: string
}

/** What came of merging texts line by line; conflicts are between marker lines. */
export interface MergedLines {
  readonly text: string
  readonly isClean: boolean
}

/** Merges texts as git merges lines (git-merge-file(1)). */
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
    if (code > 127) throw new Error(`git merge-file: ${stderr}`) // fewer is a number of conflicts
    return { text: stdout, isClean: code === 0 }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
