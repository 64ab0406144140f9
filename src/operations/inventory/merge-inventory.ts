import { readFile, realpath, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { UserError } from '../../errors.ts'
import { mergeLines, runGit } from '../../state/merge/git.ts'
import { mergeInventories } from '../../state/merge/merge-inventories.ts'
import type { Context } from '../context.ts'
import { ignored } from '../../os/trace.ts'

type MergeContext = Pick<Context, 'env'>

/**
 * Merges the files that git passes to a merge driver (gitattributes(5)) into `ours`. Resolves to the remaining
 * conflicts.
 */
export async function mergeFiles(
  { env }: MergeContext,
  [base, ours, theirs]: readonly [string, string, string],
): Promise<readonly string[]> {
  const [one = '', two = '', three = ''] = await Promise.all(
    [base, ours, theirs].map((file) => readFile(file, 'utf8')),
  )
  const { text, conflicts } = await mergeInventories({ base: one, ours: two, theirs: three }, (v) =>
    mergeLines(v, env),
  )
  await writeFile(ours, text)
  return conflicts
}

/**
 * Merges an inventory that has a merge conflict in git, from the three staged versions. Throws kind `usage` when there
 * is no conflict. Resolves to the remaining conflicts.
 */
export async function mergeConflicted(
  { env }: MergeContext,
  location: string,
): Promise<readonly string[]> {
  const file = await realpath(location).catch(
    ignored('inventory', 'resolve the inventory path', location),
  )
  const folder = dirname(file)
  const stage = async (number: number): Promise<string | undefined> => {
    const blob = `:${number}:./${basename(file)}`
    const { code, stdout } = await runGit(folder, ['cat-file', 'blob', blob], env)
    return code === 0 ? stdout : undefined
  }
  const [base = '', ours, theirs] = [await stage(1), await stage(2), await stage(3)]
  if (ours === undefined || theirs === undefined) {
    throw new UserError('usage', `git reports no conflict in ${location}`, {
      hint: 'to check the merge or rebase: git status',
    })
  }
  const { text, conflicts } = await mergeInventories({ base, ours, theirs }, (versions) =>
    mergeLines(versions, env),
  )
  await writeFile(file, text)
  return conflicts
}
