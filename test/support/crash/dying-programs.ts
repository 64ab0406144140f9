import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { runProgram } from '../lab/process.ts'

/** Which call of a program kills the process that makes it, and whether it does so before its work or after. */
export interface Death {
  readonly call: number
  readonly when: 'before' | 'after'
}

/**
 * Makes, in `folder`, programs that do what those of this machine do, and kill who calls them at the call that is told: by SIGKILL,
 * and then they go on. Gives the environment in which they are found.
 */
export async function makeDyingPrograms(
  folder: string,
  names: readonly string[],
  { call, when }: Death,
): Promise<NodeJS.ProcessEnv> {
  await mkdir(folder)
  const count = join(folder, 'count')
  const killAt = (moment: string) =>
    moment === when ? `[ "$n" != ${call} ] || kill -KILL "$PPID"` : ':'
  for (const name of names) {
    const real = (await runProgram(['sh', '-c', 'command -v "$1"', 'sh', name])).trim()
    const script = `#!/bin/sh
n=$(($(cat ${count} 2>/dev/null || echo 0) + 1))
echo "$n" >${count}
${killAt('before')}
${real} "$@"
code=$?
${killAt('after')}
exit "$code"
`
    await writeFile(join(folder, name), script)
    await chmod(join(folder, name), 0o755)
  }
  return { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}` }
}
