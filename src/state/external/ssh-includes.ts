import { mkdir, readFile, realpath, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import { codeOf } from '../../errors.ts'
import { formatInclude } from '../../machine/ssh-config-text.ts'
import { explainDiskError } from '../home/disk-error.ts'
import { preparePrivateFolder } from '../home/home.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/**
 * The SSH configuration of one inventory's machines: files in home that the user's own
 * configuration can include.
 */
export interface SshIncludes {
  /** Path of the known_hosts file with the machines' host keys. */
  readonly knownHosts: string
  /** The Include line in the user's configuration. */
  readonly line: string
  /** Path of the user's own configuration. */
  readonly configuration: string
  /**
   * Calls `work` with a configuration file without this inventory's machines: the user's own configuration, followed by
   * the system's.
   */
  withoutMachines<Value>(work: (file: string) => Promise<Value>): Promise<Value>
  /** Writes the known_hosts file, which included, printed and exported configurations use. */
  writeKnownHosts(text: string): Promise<void>
  /** Writes the machines' configuration for `ssh -F FILE`, and returns the file. */
  writeStandalone(text: string): Promise<string>
  /** Writes the machines' configuration, and includes it in the user's configuration. */
  include(text: string): Promise<void>
  /** Undoes `include`, but keeps the host keys. Resolves to whether there was anything to undo. */
  exclude(): Promise<boolean>
}

/** ssh reads this file after the user's own configuration, which may not exist. */
const systemConfiguration = '/etc/ssh/ssh_config'

async function readIfExists(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  }
}

async function attempt<Value>(file: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
  }
}

/** Opens the SSH files in `home` for the inventory with this id. Throws kind `failed` if a file cannot be written. */
export function openSshIncludes(home: string, id: string, env: Environment): SshIncludes {
  const folder = join(home, 'ssh')
  const [own, knownHosts] = [
    childPath(folder, `${id}.conf`),
    childPath(folder, `${id}.known_hosts`),
  ]
  const standalone = join(folder, `${id}.alone.conf`)
  const others = join(folder, `${id}.others.${process.pid}.conf`)
  const configuration = join(env['HOME'] || homedir(), '.ssh', 'config')
  const includeLine = () => formatInclude(own)

  /** Changes the user's configuration file or, if that is a symbolic link, the link's target. */
  const change = (decide: (text: string) => string) =>
    attempt(configuration, async () => {
      const file = await realpath(configuration).catch(
        ignored('state', 'resolve the SSH configuration', configuration),
      )
      const before = await readIfExists(file)
      const after = decide(before)
      if (after === before) return false
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      await replaceFile(file, after, { mode: 0o600 })
      return true
    })

  const without = (text: string): string => {
    const line = includeLine()
    return text
      .split('\n')
      .filter((one) => one.trim() !== line)
      .join('\n')
  }

  async function write(file: string, text: string): Promise<void> {
    await preparePrivateFolder(home)
    await preparePrivateFolder(folder)
    await attempt(file, () => replaceFile(file, text, { mode: 0o600 }))
  }

  return {
    knownHosts,
    get line() {
      return includeLine()
    },
    configuration,
    async withoutMachines(work) {
      const rest = without(await readIfExists(configuration))
      await write(others, `${rest}\nHost *\n  Include ${systemConfiguration}\n`)
      try {
        return await work(others)
      } finally {
        await rm(others, { force: true })
      }
    },
    writeKnownHosts: (text) => write(knownHosts, text),
    async writeStandalone(text) {
      await write(standalone, text)
      return standalone
    },
    async include(text) {
      const line = includeLine()
      await write(own, text)
      // An Include below a Host line would only apply to that host, so it must be first
      // (ssh_config(5), Include).
      await change((before) =>
        before.split('\n').some((one) => one.trim() === line) ? before : `${line}\n${before}`,
      )
    },
    async exclude() {
      const wasIncluded = await change(without)
      const wasWritten = (await readIfExists(own)) !== ''
      await rm(own, { force: true })
      return wasIncluded || wasWritten
    },
  }
}
