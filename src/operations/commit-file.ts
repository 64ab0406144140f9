import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { runGit } from '../state/git.ts'
import type { Context } from './context.ts'

/** Commits one file alone, where it is another than in the last commit. Resolves to why that could not be, if so. */
export async function commitFile(
  location: string,
  message: string,
  env: Context['env'],
): Promise<string | undefined> {
  const file = await realpath(location)
  const [folder, name] = [dirname(file), basename(file)]
  const git = (...args: readonly string[]) => runGit(folder, args, env)
  if ((await git('ls-files', '--error-unmatch', '--', name)).code !== 0) {
    await git('add', '--intent-to-add', '--', name)
  } else if ((await git('diff', '--quiet', 'HEAD', '--', name)).code === 0) return undefined
  // --only: what else is staged stays staged. No hooks: they could refuse what has happened already.
  const { code, stderr } = await git(
    'commit',
    '-q',
    '--no-verify',
    '-m',
    message,
    '--only',
    '--',
    name,
  )
  return code === 0 ? undefined : `git does not commit ${location}: ${stderr.trim()}`
}
