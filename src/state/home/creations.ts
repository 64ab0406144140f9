import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, readdir, rm } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { below } from '../../os/below.ts'
import { UserError, codeOf } from '../../errors.ts'
import { prepareSocketFolder, shortFolderFor } from '../../os/socket-folder.ts'
import { longestSocketPath } from '../../os/socket-path.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { removeWithLeftovers, replaceFile } from './replace-file.ts'

/** What another attempt needs to ask the provider for the very same host. Private: it holds a host key. */
export interface CreationSecrets {
  /** The login key, `ssh-ed25519 AAAA…`, and its `SHA256:…` fingerprint. */
  readonly publicKey: string
  readonly fingerprint: string
  /** The host key that the user-data brings, `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
  /** As it is handed to the provider. */
  readonly userData: Uint8Array
  /** The tags of all that is made; absent in what the first versions of fleet kept. */
  readonly tags?: Readonly<Record<string, string>>
}

/** Creations under way, by token: kept in home until the machine is ready. */
export interface Creations {
  find(token: string): Promise<CreationSecrets | undefined>
  /** Durable once resolved. */
  save(token: string, secrets: CreationSecrets): Promise<void>
  drop(token: string): Promise<void>
  /**
   * Does `work` on a host and keeps other processes of this person away from it meanwhile, at most until this
   * process ends, however it ends. Throws kind `locked` when one of them has it.
   */
  hold<Result>(token: string, machine: string, work: () => Promise<Result>): Promise<Result>
}

const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16)

/** A listening socket is the lock: the system takes it away with the process, at once. */
function socketFor(folder: string, token: string): string {
  const name = `${digest(`${folder} ${token}`)}.sock`
  if (process.platform === 'win32') return String.raw`\\.\pipe\fleet-${name}`
  const path = join(folder, name)
  return Buffer.byteLength(path) <= longestSocketPath ? path : join(shortFolderFor(folder), name)
}

async function isHeld(path: string): Promise<boolean> {
  const { connect } = await import('node:net') // most commands do without it
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Removes the sockets that dead processes left in `folder`. */
async function sweep(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const paths = (await readdir(folder))
    .filter((name) => name.endsWith('.sock'))
    .map((name) => join(folder, name))
  for (const path of paths) if (!(await isHeld(path))) await rm(path, { force: true })
}

/** Listens on `path`. Undefined when a living process does already. */
async function claim(path: string): Promise<Server | undefined> {
  if (await isHeld(path)) return undefined
  if (process.platform !== 'win32') await rm(path, { force: true })
  const { createServer } = await import('node:net')
  const server = createServer((socket) => socket.destroy())
  server.listen(path)
  await once(server, 'listening')
  return server.unref()
}

const parse = (text: string): CreationSecrets => {
  const { userData, ...rest } = JSON.parse(text) as CreationSecrets & { userData: string }
  return { ...rest, userData: Buffer.from(userData, 'base64') }
}

/** The creations under way that `home` knows of. */
export function openCreations(home: string): Creations {
  const folder = join(home, 'creations')
  const fileFor = (token: string): string => below(folder, `${digest(token)}.json`)
  const prepare = async (): Promise<void> => {
    await preparePrivateFolder(home)
    await preparePrivateFolder(folder)
  }
  return {
    async find(token) {
      const file = fileFor(token)
      try {
        return parse(await readFile(file, 'utf8'))
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined
        throw explainDiskError(error, { kind: 'failed', doing: 'read', file })
      }
    },
    async save(token, secrets) {
      const file = fileFor(token)
      await prepare()
      const userData = Buffer.from(secrets.userData).toString('base64')
      try {
        await replaceFile(file, JSON.stringify({ ...secrets, userData }), { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file })
      }
    },
    drop: (token) => removeWithLeftovers(fileFor(token)),
    async hold(token, machine, work) {
      await prepare()
      const path = socketFor(folder, token)
      if (process.platform !== 'win32') await prepareSocketFolder(dirname(path))
      const { withLock } = await import('../../os/lock.ts') // the start of most commands does without its package
      // One lock for all: a socket that another process is just binding must not look dead.
      const server = await withLock(join(folder, 'hold'), async () => {
        await sweep(folder)
        return claim(path)
      })
      if (server === undefined) {
        throw new UserError('locked', `another fleet process is working on ${machine}`, {
          machine,
          hint: 'wait until it ends, then try again',
        })
      }
      try {
        return await work()
      } finally {
        server.close()
        await once(server, 'close')
      }
    },
  }
}
