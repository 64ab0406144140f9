import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How the stand-in fails; if empty, it does not fail. */
type Mode = '' | 'no-extension' | 'login' | 'denied' | 'hang' | 'refused'

/** A directory for PATH with a stand-in for `az`. */
export interface AzureCli extends AsyncDisposable {
  readonly folder: string
  mode(mode: Mode): Promise<void>
  /** Sets whether the Azure CLI's configuration hides all messages except errors (`only_show_errors`). */
  showOnlyErrors(hides: boolean): Promise<void>
  /** Resolves to the arguments of all calls so far, and `session deleted` for each deleted session. */
  calls(): Promise<readonly (readonly string[])[]>
  forgetCalls(): Promise<void>
  /** Sets the address at which the Bastion reaches a virtual machine. */
  addHost(machine: string, address: string): Promise<void>
  /** Installs or removes the program. */
  install(isThere?: boolean): Promise<void>
}

/** Puts a stand-in for the Azure CLI into a new directory. */
export async function makeAzureCli(): Promise<AzureCli> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-azure-cli-'))
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  const program = join(folder, 'az')
  const cli: AzureCli = {
    folder,
    mode: (mode) => write('mode', mode),
    showOnlyErrors: (hides) => write('only_show_errors', hides ? 'yes' : 'no'),
    async calls() {
      const text = await readFile(join(folder, 'calls'), 'utf8').catch(() => '')
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as string[])
    },
    forgetCalls: () => rm(join(folder, 'calls'), { force: true }),
    addHost: (machine, address) => write(`host-${machine}`, address),
    async install(isThere = true) {
      if (!isThere) return rm(program)
      await write('az.mjs', await readFile(join(import.meta.dirname, 'az.mjs'), 'utf8'))
      const load = `process.argv[1] = ${JSON.stringify(program)}; import(${JSON.stringify(`${program}.mjs`)})`
      await write('az', `#!${process.execPath}\n${load}\n`)
      await chmod(program, 0o755)
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
  await cli.install()
  return cli
}
