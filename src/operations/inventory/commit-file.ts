import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type TextEdit, holdInventory } from '../../state/inventory/file-inventory.ts'
import { mergeLines, runGit } from '../../state/merge/git.ts'
import { decodeInventory } from '../../state/inventory/text.ts'
import type { Context } from '../context.ts'

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
    /** What a command prints, to the last line feed; nothing where it fails. */
    async findExactly(args: readonly string[]): Promise<string | undefined> {
      const { code, stdout } = await ask(args)
      return code === 0 ? stdout : undefined
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
async function findTracked(
  git: Git,
  name: string,
): Promise<{ readonly mode: string; readonly blob: string } | undefined> {
  const lines = (await git.run(['ls-files', '--stage', '--', `:(literal)${name}`])).split('\n')
  if (lines.length > 1) throw new NotCommitted('it has merge conflicts')
  const [mode, blob = ''] = lines[0]?.split(' ') ?? []
  return mode ? { mode, blob } : undefined
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
      throw new NotCommitted(`a ${what} is in progress`)
    }
  }
}

/** The edits of one command, those that follow each other as one. */
function joinEdits(edits: readonly TextEdit[]): readonly TextEdit[] {
  const joined: TextEdit[] = []
  for (const edit of edits) {
    const last = joined.at(-1)
    if (last?.after === edit.before) joined.splice(-1, 1, { ...last, after: edit.after })
    else joined.push(edit)
  }
  return joined.filter(({ before, after }) => before !== after)
}

/** A text with edits that were made to another state of it; undefined where they contradict what it says. */
async function replay(
  edits: readonly TextEdit[],
  text: string,
  env: Context['env'],
): Promise<string | undefined> {
  let edited = text
  for (const { before, after } of edits) {
    if (edited === before) {
      edited = after
      continue
    }
    const { mergeInventories } = await import('../../state/merge/merge-inventories.ts')
    const versions = { base: before, ours: edited, theirs: after }
    const merged = await mergeInventories(versions, (lines) => mergeLines(lines, env))
    if (merged.conflicts.length > 0) return undefined
    edited = merged.text
  }
  return edited
}

/** The inventory in a repository, and what of it is to be committed. */
interface Commit {
  readonly git: Git
  readonly file: string
  readonly edits: readonly TextEdit[]
  readonly message: string
  readonly env: Context['env']
}

/** Stores the state `revision` of the file with the edits; undefined where there is no such state, or they contradict it. */
async function storeEdited(
  { git, file, edits, env }: Commit,
  revision: string,
  folder: string,
): Promise<string | undefined> {
  const name = basename(file)
  const text = await git.findExactly(['cat-file', '--filters', `${revision}:./${name}`])
  if (text === undefined) return undefined
  const edited = await replay(edits, decodeInventory(Buffer.from(text), file), env).catch(
    () => undefined, // a state that is no inventory
  )
  if (edited === undefined) return undefined
  const place = join(folder, 'edited')
  await writeFile(place, edited)
  return git.run(['hash-object', '-w', `--path=${name}`, '--', place])
}

async function commit(work: Commit): Promise<void> {
  const { git, message } = work
  const name = basename(work.file)
  const prefix = await git.run(['rev-parse', '--show-prefix'])
  await checkUndisturbed(git)
  const tracked = await findTracked(git, name)
  if (tracked === undefined && (await git.find(['check-ignore', '-q', '--', name])) !== undefined) {
    throw new NotCommitted('git ignores it')
  }
  await checkFilters(git, name)
  const before = await git.find(['rev-parse', '-q', '--verify', `HEAD:./${name}`])
  const head = await git.find(['rev-parse', '-q', '--verify', 'HEAD'])
  const folder = await mkdtemp(join(tmpdir(), 'fleet-index-'))
  try {
    const whole = await git.run(['hash-object', '-w', '--', name])
    const blob = (await storeEdited(work, 'HEAD', folder)) ?? whole
    if (before === blob) return
    const isStaged = tracked !== undefined && tracked.blob !== before
    const staged = isStaged ? ((await storeEdited(work, '', folder)) ?? whole) : blob
    const entryOf = (content: string) => `${tracked?.mode ?? '100644'},${content},${prefix}${name}`
    // In an index of its own: what else is staged stays so, and no other file is looked at.
    const index = { GIT_INDEX_FILE: join(folder, 'index') }
    if (head !== undefined) await git.run(['read-tree', 'HEAD'], index)
    await git.run(['update-index', '--add', '--cacheinfo', entryOf(blob)], index)
    const tree = await git.run(['write-tree'], index)
    const parents = head === undefined ? [] : ['-p', head]
    const made = await git.run(['commit-tree', tree, ...parents, '-m', message])
    const [subject = ''] = message.split('\n')
    await git.run(['update-ref', '-m', `commit: ${subject}`, 'HEAD', made, head ?? ''])
    await retryBusy(() => git.run(['update-index', '--add', '--cacheinfo', entryOf(staged)]))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** How often what another git stands in the way of is tried again, and how long between, in milliseconds. */
const retries = { count: 10, pauseMs: 200 }

/** What git says where another git is at work: it holds a lock, or HEAD is another one by now. */
const isBusy = (error: unknown): boolean =>
  error instanceof NotCommitted && /\.lock'|cannot lock ref/.test(error.message)

async function retryBusy<Value>(work: () => Promise<Value>): Promise<Value> {
  for (let left = retries.count; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left === 0 || !isBusy(error)) throw error
    }
    await setTimeout(retries.pauseMs)
  }
}

/**
 * Commits the edits that a command made to an inventory, and nothing else: neither other files nor what others changed in
 * the same file. Only where the edits contradict the last commit, since they build on changes that are not committed, the
 * whole file is committed. Resolves to why that could not be, if so. Made of git's plumbing, which runs no hook, no filter of
 * other files and no signing program: hooks could refuse what has happened already, and all of them may be somebody else's.
 */
export async function commitEdits(
  location: string,
  edits: readonly TextEdit[],
  message: string,
  env: Context['env'],
): Promise<string | undefined> {
  const file = await realpath(location)
  const joined = joinEdits(edits)
  if (joined.length === 0) return undefined
  const work = { git: openGit(dirname(file), env), file, edits: joined, message, env }
  try {
    await holdInventory(file, () => retryBusy(() => commit(work)))
    return undefined
  } catch (error) {
    if (error instanceof NotCommitted) return `${location} was not committed: ${error.message}`
    throw error
  }
}
