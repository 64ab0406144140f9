import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * How the stand-in fails; if empty, it does not fail. With `late N`, the target is not connected in the first N
 * sessions.
 */
type Mode = '' | 'offline' | 'denied' | 'hang' | 'no-endpoint' | 'shut' | `late ${number}`

/** A directory for PATH with stand-ins for `aws` and its plugin. */
export interface AwsCli extends AsyncDisposable {
  readonly folder: string
  mode(mode: Mode): Promise<void>
  /** Resolves to the arguments of all calls so far. */
  calls(): Promise<readonly (readonly string[])[]>
  forgetCalls(): Promise<void>
  /** Installs or removes one of the programs. */
  install(program: 'aws' | 'session-manager-plugin', isThere?: boolean): Promise<void>
}

/** Puts stand-ins for the AWS CLI and the Session Manager plugin into a new directory. */
export async function makeAwsCli(): Promise<AwsCli> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-aws-cli-'))
  const log = join(folder, 'calls')
  const cli: AwsCli = {
    folder,
    mode: (mode) => writeFile(join(folder, 'mode'), mode),
    async calls() {
      const text = await readFile(log, 'utf8').catch(() => '')
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as string[])
    },
    forgetCalls: () => rm(log, { force: true }),
    async install(program, isThere = true) {
      const file = join(folder, program)
      if (!isThere) return rm(file)
      const script = join(import.meta.dirname, `${program}.mjs`)
      const text = await readFile(script, 'utf8')
      // Node runs a file without an extension as CommonJS, which has no top-level await, so this file imports the
      // script.
      await writeFile(`${file}.mjs`, text)
      const load = `process.argv[1] = ${JSON.stringify(file)}; import(${JSON.stringify(`${file}.mjs`)})`
      await writeFile(file, `#!${process.execPath}\n${load}\n`)
      await chmod(file, 0o755)
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
  await cli.install('aws')
  await cli.install('session-manager-plugin')
  return cli
}
