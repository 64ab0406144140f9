import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { runGit } from '../state/git.ts'
import type { Context } from './context.ts'

/** Why a file is not committed. */
class NotCommitted extends Error {}

/** Git in one folder; rejects with {@link NotCommitted} where it fails. */
function openGit(folder: string, env: Context['env']) {
  const ask = (args: readonly string[], more: Context['env'] = {}) =>
    runGit(folder, args, { ...env, ...more })
  return {
    /** What a command prints. */
    async run(args: readonly string[], more?: Context['env']): Promise<string> {
      const { code, stdout, stderr } = await ask(args, more)
      if (code === 0) return stdout.replace(/\n$/, '')
      throw new NotCommitted(stderr.trim().replace(/^(?:fatal|error): /, ''))
    },
    /** What a command prints; nothing where it fails. */
    async find(args: readonly string[]): Promise<string | undefined> {
      const { code, stdout } = await ask(args)
      return code === 0 ? stdout.replace(/\n$/, '') : undefined
    },
  }
}
type Git = ReturnType<typeof openGit>

/** What the index has of a file; nothing of one that git does not know yet. */
async function findTracked(git: Git, name: string): Promise<{ readonly mode: string } | undefined> {
  const lines = (await git.run(['ls-files', '--stage', '--', `:(literal)${name}`])).split('\n')
  if (lines.length > 1) throw new NotCommitted('it is in conflict')
  const [mode] = lines[0]?.split(' ') ?? []
  return mode ? { mode } : undefined
}

/** Throws for a file that git is configured to keep in another form, by a program: that one would have to be run. */
async function checkFilters(git: Git, name: string): Promise<void> {
  const [, , filter = 'unspecified'] = (
    await git.run(['check-attr', '-z', 'filter', '--', name])
  ).split('\0')
  if (filter === 'unspecified' || filter === 'unset') return
  const isConfigured = await git.find(['config', '--get-regexp', '^filter\\..*\\.(clean|process)$'])
  if (isConfigured === undefined || isConfigured === '') return
  throw new NotCommitted(
    `it passes through the filter ${JSON.stringify(filter)}, a program that fleet does not run`,
  )
}

/** Throws where git would not commit one file alone. */
async function checkUndisturbed(git: Git): Promise<void> {
  for (const [head, what] of [
    ['MERGE_HEAD', 'merge'],
    ['CHERRY_PICK_HEAD', 'cherry-pick'],
  ] as const) {
    if ((await git.find(['rev-parse', '-q', '--verify', head])) !== undefined) {
      throw new NotCommitted(`a ${what} is under way`)
    }
  }
}

async function commit(git: Git, name: string, message: string): Promise<void> {
  const prefix = await git.run(['rev-parse', '--show-prefix'])
  await checkUndisturbed(git)
  const tracked = await findTracked(git, name)
  if (tracked === undefined && (await git.find(['check-ignore', '-q', '--', name])) !== undefined) {
    throw new NotCommitted('git ignores it')
  }
  await checkFilters(git, name)
  const blob = await git.run(['hash-object', '-w', '--', name])
  const before = await git.find(['rev-parse', '-q', '--verify', `HEAD:./${name}`])
  if (before === blob) return
  const head = await git.find(['rev-parse', '-q', '--verify', 'HEAD'])
  const entry = `${tracked?.mode ?? '100644'},${blob},${prefix}${name}`
  const folder = await mkdtemp(join(tmpdir(), 'fleet-index-'))
  try {
    // In an index of its own: what else is staged stays so, and no other file is looked at.
    const index = { GIT_INDEX_FILE: join(folder, 'index') }
    if (head !== undefined) await git.run(['read-tree', 'HEAD'], index)
    await git.run(['update-index', '--add', '--cacheinfo', entry], index)
    const tree = await git.run(['write-tree'], index)
    const parents = head === undefined ? [] : ['-p', head]
    const made = await git.run(['commit-tree', tree, ...parents, '-m', message])
    await git.run(['update-ref', '-m', `commit: ${message}`, 'HEAD', made, head ?? ''])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  await git.run(['update-index', '--add', '--cacheinfo', entry])
}

/**
 * Commits one file alone, where it is another than in the last commit. Resolves to why that could not be, if so. Made of
 * git's plumbing, which runs no hook, no filter of other files and no signing program: hooks could refuse what has
 * happened already, and all of them may be somebody else's.
 */
export async function commitFile(
  location: string,
  message: string,
  env: Context['env'],
): Promise<string | undefined> {
  const file = await realpath(location)
  try {
    await commit(openGit(dirname(file), env), basename(file), message)
    return undefined
  } catch (error) {
    if (error instanceof NotCommitted) return `git does not commit ${location}: ${error.message}`
    throw error
  }
}
