import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { program, type TestUser } from '../test-user.ts'

const run = promisify(execFile)

/** Creates a git repository for a user, with the built fleet in git's PATH. */
export async function makeRepository(user: TestUser) {
  const bin = join(user.home, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'fleet'), `#!/bin/sh\nexec ${program} "$@"\n`)
  await chmod(join(bin, 'fleet'), 0o755)
  const env = {
    ...user.env,
    PATH: `${bin}:${user.env['PATH']}`,
    GIT_AUTHOR_NAME: 'Ana',
    GIT_AUTHOR_EMAIL: 'ana@example.com',
    GIT_COMMITTER_NAME: 'Ana',
    GIT_COMMITTER_EMAIL: 'ana@example.com',
    GIT_EDITOR: 'true',
  }
  const folder = join(user.home, 'ops')
  await mkdir(folder)
  const file = join(folder, 'machines.yaml')
  const git = (...args: string[]) => run('git', args, { cwd: folder, env })
  await git('init', '-q', '-b', 'main')
  return {
    folder,
    file,
    env,
    git,
    fleet: (...args: string[]) => user.fleet(args, { env, cwd: folder }),
    read: () => readFile(file, 'utf8'),
    write: (text: string) => writeFile(file, text),
    commit: (message: string) => git('commit', '-qam', message),
  }
}
