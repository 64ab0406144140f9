import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answersHttp } from './probes.ts'
import { ended, spawnTied, until } from './process.ts'

/** A registry that serves plain HTTP. */
export interface Registry extends AsyncDisposable {
  /** The registry part of image names, such as `10.77.0.1:5000`. */
  readonly name: string
}

/** Starts Debian's docker-registry with its files in `folder`, and waits until it answers. */
export async function startRegistry(folder: string, address: string): Promise<Registry> {
  const name = `${address}:5000`
  const config = {
    version: 0.1,
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: join(folder, 'registry') }, delete: { enabled: true } },
    http: { addr: name },
  }
  const file = join(folder, 'registry.yml')
  await writeFile(file, JSON.stringify(config)) // JSON is YAML
  const log = openSync(join(folder, 'registry.log'), 'a')
  const child: ChildProcess = spawnTied(['docker-registry', 'serve', file], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const url = `http://${name}/v2/`
  await until('the registry to answer', async () => (await answersHttp(url)) || undefined)
  return {
    name,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended(child)
    },
  }
}
