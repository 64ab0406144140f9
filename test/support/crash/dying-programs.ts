import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { runProgram } from '../lab/process.ts'

/**
 * The number of the call at which a wrapped program kills its caller, and whether that happens before or after its
 * work.
 */
export interface Death {
  readonly call: number
  readonly when: 'before' | 'after'
}

/**
 * Creates wrappers of installed programs in `folder` that kill their caller with SIGKILL at the given call, and then
 * continue. Resolves to an environment with the wrappers in PATH.
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
