import { access, constants, mkdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { UserError, codeOf } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { explainDiskError } from '../home/disk-error.ts'
import { runGit } from './git.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/** The pre-commit hook of a repository, and whether it was created. */
export interface InstalledHook {
  readonly file: string
  readonly isNew: boolean
}

/**
 * Returns the directory of git's hooks, and the path of `folder` relative to the work tree's root, where git runs
 * hooks.
 */
async function findHooks(
  folder: string,
  env: Environment,
): Promise<{ readonly hooks: string; readonly prefix: string } | undefined> {
  const ask = async (...args: string[]): Promise<string | undefined> => {
    const { code, stdout } = await runGit(folder, args, env)
    return code === 0 ? stdout.replace(/\n$/, '') : undefined
  }
  const top = await ask('rev-parse', '--show-toplevel')
  const common = await ask('rev-parse', '--git-common-dir')
  const prefix = await ask('rev-parse', '--show-prefix')
  if (top === undefined || common === undefined || prefix === undefined) return undefined
  const values = await ask('config', '-z', '--type=path', '--get-all', 'core.hooksPath')
  const [own] = (values ?? '').split('\0').slice(0, -1).toReversed().slice(1) // the last value was set by runGit
  return { hooks: own ? resolve(top, own) : resolve(folder, common, 'hooks'), prefix }
}

/**
 * Returns the command that the hook runs. It does nothing in a repository without this inventory, because several
 * repositories can share a hooks directory.
 */
const commandFor = (path: string): string =>
  `! git ls-files --error-unmatch -- ${shellQuote(`:(top,literal)${path}`)} >/dev/null 2>&1 || fleet check --staged ${shellQuote(`--inventory=${path}`)} || exit 1`

/** Keeps an existing hook. Throws kind `failed` unless it contains `command` and is executable. */
async function keepHook(file: string, command: string): Promise<InstalledHook> {
  const text = await readFile(file, 'utf8').catch(ignored('git', 'read the pre-commit hook', ''))
  if (!text.split(/\r?\n/).includes(command)) {
    throw new UserError('failed', `${file} already exists and was not changed`, {
      hint: `add this line to the hook, or to the configuration of your hook manager: ${command}`,
    })
  }
  const isRun = await access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
  if (isRun) return { file, isNew: false }
  throw new UserError('failed', `git does not run ${file}: it is not executable`, {
    hint: `to make the hook executable: chmod +x ${shellQuote(file)}`,
  })
}

/**
 * Installs a pre-commit hook that checks the inventory at `location` (githooks(5); core.hooksPath).
 * Throws kind `failed` if there is a different hook, which is kept, and kind `inventory` outside a
 * repository.
 */
export async function installPreCommitHook(
  location: string,
  env: Environment,
): Promise<InstalledHook> {
  const inventory = await realpath(location).catch((error: unknown) => {
    throw explainDiskError(error, { kind: 'inventory', operation: 'read', file: location })
  })
  const found = await findHooks(dirname(inventory), env)
  if (found === undefined) {
    throw new UserError('inventory', `${location} is not in a git repository`, {
      hint: 'to create a repository: git init',
    })
  }
  const file = join(found.hooks, 'pre-commit')
  const command = commandFor(`${found.prefix}${basename(inventory)}`)
  try {
    await mkdir(found.hooks, { recursive: true })
    await writeFile(file, `#!/bin/sh\n${command}\n`, { flag: 'wx', mode: 0o755 })
    return { file, isNew: true }
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return keepHook(file, command)
    throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
  }
}
