import { access, appendFile, lstat, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { explainDiskError } from '../home/disk-error.ts'
import { runGit } from './git.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/**
 * The command that git runs (gitattributes(5), "Defining a custom merge driver"). Exit code 4 means conflicts. If fleet
 * is missing or fails, the command makes git merge lines, because otherwise git would use our side as the result.
 */
const driver =
  'fleet merge %O %A %B; case $? in 0) ;; 4) exit 1;; *) git merge-file %A %O %B;; esac'

/**
 * Adds a line to a git configuration file, such as .gitignore, which may not exist. Resolves to whether the line was
 * missing. Throws kind `inventory` for a symbolic link, which in a clone could point to any of the user's files, and
 * which git does not follow either.
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
 * Returns a pattern for gitignore(5) that matches only the file `name` in the directory of the pattern; `after` is a
 * pattern for the end of its name.
 */
const exactly = (name: string, after = ''): string =>
  `/${name.replaceAll(/[\\*?[\]]/g, '\\$&')}${after}`

/** Returns a pattern for gitattributes(5). Patterns end at the first blank unless they are quoted as in C. */
const attributePattern = (pattern: string): string =>
  /[\s"]/.test(pattern) ? `"${pattern.replaceAll(/["\\]/g, '\\$&')}"` : pattern

/** The result of configuring git for an inventory in a work tree. */
export interface GitSetup {
  /** The files that were written. */
  readonly files: readonly string[]
  /** Why git does not use the merge driver in this clone; undefined if it does. */
  readonly failure: string | undefined
}

/** Defines the merge driver in the configuration of a clone. Resolves to the reason if that fails. */
async function defineDriver(folder: string, env: Environment): Promise<string | undefined> {
  for (const [key, value] of [
    ['merge.fleet.name', 'fleet merge driver for inventories'],
    ['merge.fleet.driver', driver],
  ] as const) {
    const { code, stderr } = await runGit(folder, ['config', key, value], env).catch(
      (error: unknown) => ({ code: -1, stderr: messageOf(error) }),
    )
    if (code !== 0) return stderr.trim() || `git config exited with code ${code}`
  }
  return undefined
}

/**
 * Configures git to merge the inventory entry by entry, and to ignore fleet's temporary files next to it (.gitignore):
 * .gitattributes selects the merge driver in every clone, and the configuration of this clone defines it. In other
 * clones, git merges lines. Resolves to undefined outside a work tree, where nothing is written.
 */
export async function configureGit(
  inventory: string,
  env: Environment,
): Promise<GitSetup | undefined> {
  const [folder, name] = [dirname(inventory), basename(inventory)]
  if (!(await isInWorkTree(folder))) return undefined
  const [attributes, ignore] = [join(folder, '.gitattributes'), join(folder, '.gitignore')]
  const files: string[] = []
  if (await addLine(attributes, `${attributePattern(exactly(name))} merge=fleet`))
    files.push(attributes)
  const failure = await defineDriver(folder, env)
  if (await addLine(ignore, exactly(name, '.*'))) files.unshift(ignore)
  return { files, failure }
}
