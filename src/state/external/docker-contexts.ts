import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import { codeOf } from '../../errors.ts'
import { explainDiskError } from '../home/disk-error.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { traceError } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/** A docker context. */
export interface DockerContext {
  readonly name: string
  /** The description, which `docker context ls` shows. */
  readonly description: string
  /** The engine's address, such as `unix:///…`. */
  readonly host: string
  /** Path of the inventory from which fleet created the context; `undefined` if fleet did not create it. */
  readonly inventory: string | undefined
}

/** The contexts of the docker CLI on this computer. */
export interface DockerContexts {
  list(): Promise<readonly DockerContext[]>
  /** Writes a context, replacing any existing context with the same name. */
  write(context: DockerContext): Promise<void>
  remove(name: string): Promise<void>
}

/** The format of docker's files (`cli/context/store` of docker/cli). docker keeps unknown metadata. */
interface Meta {
  readonly Name: string
  readonly Metadata?: { readonly Description?: string; readonly FleetInventory?: string }
  readonly Endpoints?: { readonly docker?: { readonly Host?: string } }
}

/** Returns the digest of a context's name, which docker uses as the name of the context's directory. */
const digest = (name: string): string => createHash('sha256').update(name).digest('hex')

const fromMeta = ({ Name, Metadata, Endpoints }: Meta): DockerContext => ({
  name: Name,
  description: Metadata?.Description ?? '',
  host: Endpoints?.docker?.Host ?? '',
  inventory: Metadata?.FleetInventory,
})

const toMeta = ({ name, description, host, inventory }: DockerContext): string =>
  JSON.stringify({
    Name: name,
    Metadata: { Description: description, FleetInventory: inventory },
    Endpoints: { docker: { Host: host, SkipTLSVerify: false } },
  })

/**
 * Opens the contexts in `$DOCKER_CONFIG`, else in `~/.docker`. Throws kind `failed` if a file
 * cannot be written.
 */
export function openDockerContexts(env: Environment): DockerContexts {
  const folder = env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker')
  const all = join(folder, 'contexts', 'meta')

  async function read(entry: string): Promise<readonly DockerContext[]> {
    try {
      return [fromMeta(JSON.parse(await readFile(join(all, entry, 'meta.json'), 'utf8')) as Meta)]
    } catch (error) {
      traceError('state', 'read a Docker context', error)
      return [] // docker also skips files that it cannot read
    }
  }

  return {
    async list() {
      try {
        const found = (await Promise.all((await readdir(all)).map(read))).flat()
        return found.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return []
        throw explainDiskError(error, { kind: 'failed', operation: 'read', file: all })
      }
    },
    async write(context) {
      const own = childPath(all, digest(context.name))
      try {
        await mkdir(own, { recursive: true })
        await replaceFile(join(own, 'meta.json'), toMeta(context))
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file: own })
      }
    },
    remove: (name) => rm(childPath(all, digest(name)), { recursive: true, force: true }),
  }
}
