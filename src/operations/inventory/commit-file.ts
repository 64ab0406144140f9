import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type TextEdit, withInventoryLock } from '../../state/inventory/file-inventory.ts'
import { mergeLines, runGit } from '../../state/merge/git.ts'
import { decodeInventory } from '../../state/inventory/decode-text.ts'
import type { Context } from '../context.ts'
import { retry } from '../../os/retry.ts'

/** An error whose message is the reason why a file is not committed. */
class NotCommitted extends Error {}

/** Creates functions that run git in a directory. */
function openGit(folder: string, env: Context['env']) {
  const ask = (args: readonly string[], more: Context['env'] = {}) =>
    runGit(folder, args, { ...env, ...more })
  return {
    /** The output of a command, without the final line break. Rejects with {@link NotCommitted} if it fails. */
    async run(args: readonly string[], more?: Context['env']): Promise<string> {
      const { code, stdout, stderr } = await ask(args, more)
      if (code === 0) return stdout.replace(/\n$/, '')
      throw new NotCommitted(stderr.trim().replace(/^(?:fatal|error): /, ''))
    },
    /** The output of a command, including the final line break; undefined if it fails. */
    async findExactly(args: readonly string[]): Promise<string | undefined> {
      const { code, stdout } = await ask(args)
      return code === 0 ? stdout : undefined
    },
    /** The output of a command, without the final line break; undefined if it fails. */
    async find(args: readonly string[]): Promise<string | undefined> {
      const { code, stdout } = await ask(args)
      return code === 0 ? stdout.replace(/\n$/, '') : undefined
    },
  }
}
type Git = ReturnType<typeof openGit>

/** The index entry of a file; undefined if the file is not tracked yet. */
async function findTracked(
  git: Git,
  name: string,
): Promise<{ readonly mode: string; readonly blob: string } | undefined> {
  const lines = (await git.run(['ls-files', '--stage', '--', `:(literal)${name}`])).split('\n')
  if (lines.length > 1) throw new NotCommitted('the file has merge conflicts')
  const [mode, blob = ''] = lines[0]?.split(' ') ?? []
  return mode ? { mode, blob } : undefined
}

/**
 * Throws for a file that has a clean filter configured, since committing it would require running the filter program.
 */
async function checkFilters(git: Git, name: string): Promise<void> {
  const [, , filter = 'unspecified'] = (
    await git.run(['check-attr', '-z', 'filter', '--', name])
  ).split('\0')
  if (filter === 'unspecified' || filter === 'unset') return
  const isConfigured = await git.find(['config', '--get-regexp', '^filter\\..*\\.(clean|process)$'])
  if (isConfigured === undefined || isConfigured === '') return
  throw new NotCommitted(
    `fleet does not run the git filter ${JSON.stringify(filter)}, which applies to the file`,
  )
}

/** Throws during a merge or cherry-pick, when git refuses to commit a single file. */
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

/** Combines each edit with the next one if nothing else has changed the file between them. */
function joinEdits(edits: readonly TextEdit[]): readonly TextEdit[] {
  const joined: TextEdit[] = []
  for (const edit of edits) {
    const last = joined.at(-1)
    if (last?.after === edit.before) joined.splice(-1, 1, { ...last, after: edit.after })
    else joined.push(edit)
  }
  return joined.filter(({ before, after }) => before !== after)
}

/** Applies edits to a text that may differ from the one that was edited; undefined if they conflict with it. */
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

/** An inventory in a repository, and the edits to commit. */
interface Commit {
  readonly git: Git
  readonly file: string
  readonly edits: readonly TextEdit[]
  readonly message: string
  readonly env: Context['env']
}

/**
 * Applies the edits to the version of the file in `revision`, and stores the result as a blob. Resolves to undefined if
 * there is no such version, or if the edits conflict with it.
 */
async function storeEdited(
  { git, file, edits, env }: Commit,
  revision: string,
  folder: string,
): Promise<string | undefined> {
  const name = basename(file)
  const text = await git.findExactly(['cat-file', '--filters', `${revision}:./${name}`])
  if (text === undefined) return undefined
  const edited = await replay(edits, decodeInventory(Buffer.from(text), file), env).catch(
    () => undefined, // the version is not a valid inventory
  )
  if (edited === undefined) return undefined
  const editedFile = join(folder, 'edited')
  await writeFile(editedFile, edited)
  return git.run(['hash-object', '-w', `--path=${name}`, '--', editedFile])
}

async function commit(work: Commit): Promise<void> {
  const { git, message } = work
  const name = basename(work.file)
  const prefix = await git.run(['rev-parse', '--show-prefix'])
  await checkUndisturbed(git)
  const tracked = await findTracked(git, name)
  if (tracked === undefined && (await git.find(['check-ignore', '-q', '--', name])) !== undefined) {
    throw new NotCommitted('git ignores the file')
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
    // A separate index preserves other staged changes, and makes it unnecessary to read other files.
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

/** How long to retry while another git process holds the lock, in milliseconds. */
const busyRetries = { pauseMs: 200, withinMs: 2000 }

/** Whether git failed because another git process holds a lock or has moved HEAD. */
const isBusy = (error: unknown): boolean =>
  error instanceof NotCommitted && /\.lock'|cannot lock ref/.test(error.message)

const retryBusy = <Value>(work: () => Promise<Value>): Promise<Value> =>
  retry(work, { canRetry: isBusy, ...busyRetries })

/**
 * Commits the edits of a command to an inventory, and nothing else: neither other files nor other changes in the same
 * file. If the edits conflict with the last commit, because they build on uncommitted changes, the whole file is
 * committed. Resolves to the reason if the commit failed. Uses git's plumbing commands, which run no hooks, no filters
 * of other files and no signing program: a hook could reject changes that have already been made, and any of these
 * programs may be untrusted.
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
    await withInventoryLock(file, () => retryBusy(() => commit(work)))
    return undefined
  } catch (error) {
    if (error instanceof NotCommitted) return `${location} was not committed: ${error.message}`
    throw error
  }
}
