import { access, appendFile, lstat, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError, codeOf } from '../../errors.ts'
import { explainDiskError } from '../home/disk-error.ts'
import { runGit } from './git.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/**
 * The command that git runs (gitattributes(5), "Defining a custom merge driver"). Exit code 4 means
 * conflicts. If fleet is missing or fails, git merges lines, because otherwise it would take our
 * side as the result.
 */
const driver =
  'fleet merge %O %A %B; case $? in 0) ;; 4) exit 1;; *) git merge-file %A %O %B;; esac'

/**
 * Adds a line to a file of git, which may not exist. Resolves to whether it was missing. Throws
 * kind `inventory` for a link, which in a clone could point to any file of the user, and which git
 * does not follow either.
 */
export async function addLine(file: string, line: string): Promise<boolean> {
  try {
    const found = await lstat(file).catch(ignored('git', `inspect ${file}`))
    if (found?.isSymbolicLink()) {
      throw new UserError(
        'inventory',
        `${file} is a symbolic link, and fleet does not write to symbolic links`,
        {
          hint: `replace the link with a regular file that contains the line ${line}`,
        },
      )
    }
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return ''
      throw error
    })
    if (text.split(/\r?\n/).includes(line)) return false
    await appendFile(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`)
    return true
  } catch (error) {
    throw explainDiskError(error, { kind: 'inventory', operation: 'write', file })
  }
}

async function isInWorkTree(folder: string): Promise<boolean> {
  const found = await access(join(folder, '.git')).then(
    () => true,
    () => false,
  )
  const parent = dirname(folder)
  return found || (parent !== folder && isInWorkTree(parent))
}

/**
 * Configures git to ignore fleet's temporary files next to the inventory (.gitignore), and to merge
 * the inventory entry by entry: .gitattributes selects the merge driver in every clone, and the
 * configuration of this clone defines it. Other clones merge lines. Resolves to the files that were
 * written; undefined outside a work tree, where nothing is written.
 */
export async function configureGit(
  inventory: string,
  env: Environment,
): Promise<readonly string[] | undefined> {
  const [folder, name] = [dirname(inventory), basename(inventory)]
  if (!(await isInWorkTree(folder))) return undefined
  const written: string[] = []
  for (const [file, line] of [
    ['.gitignore', `/${name}.*`],
    ['.gitattributes', `/${name} merge=fleet`],
  ] as const) {
    if (await addLine(join(folder, file), line)) written.push(join(folder, file))
  }
  for (const [key, value] of [
    ['merge.fleet.name', 'fleet merge driver for inventories'],
    ['merge.fleet.driver', driver],
  ] as const) {
    await runGit(folder, ['config', key, value], env).catch(
      ignored('git', 'set up the merge driver'),
    ) // git is not installed
  }
  return written
}
