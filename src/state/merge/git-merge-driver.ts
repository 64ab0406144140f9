import { appendFile, lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, codeOf } from '../../errors.ts'
import { explainDiskError } from '../home/disk-error.ts'
import { runGit } from './git.ts'
import { ignored } from '../../os/trace.ts'

/**
 * How git calls fleet (gitattributes(5), "Defining a custom merge driver"). 4 is a merge that leaves something to decide; where
 * fleet is missing or fails, git merges lines, since it would otherwise take ours for the merged text.
 */
const driver =
  'fleet merge %O %A %B; case $? in 0) ;; 4) exit 1;; *) git merge-file %A %O %B;; esac'

/**
 * Adds a line to a file of git's that may not exist. Resolves to whether it was missing. Throws kind `inventory` for a link,
 * which in a clone could lead to any file of this person, and which git does not follow either.
 */
export async function addLine(file: string, line: string): Promise<boolean> {
  try {
    const found = await lstat(file).catch(ignored('git', 'look for .git'))
    if (found?.isSymbolicLink()) {
      throw new UserError('inventory', `${file} is a symbolic link: fleet does not write to it`, {
        hint: `replace it by a file with the line ${line}`,
      })
    }
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return ''
      throw error
    })
    if (text.split(/\r?\n/).includes(line)) return false
    await appendFile(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`)
    return true
  } catch (error) {
    throw explainDiskError(error, { kind: 'inventory', doing: 'write', file })
  }
}

/**
 * Has git merge the inventory `name` in `folder` entry by entry: .gitattributes says so to every clone, and this clone's
 * configuration says how. A clone without that merges lines. Resolves to the files that were written.
 */
export async function installMergeDriver(
  folder: string,
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const attributes = join(folder, '.gitattributes')
  const isNew = await addLine(attributes, `/${name} merge=fleet`)
  for (const [key, value] of [
    ['merge.fleet.name', 'fleet, entry by entry'],
    ['merge.fleet.driver', driver],
  ] as const) {
    await runGit(folder, ['config', key, value], env).catch(
      ignored('git', 'set up the merge driver'),
    ) // no git: a clone on another computer has it
  }
  return isNew ? [attributes] : []
}
