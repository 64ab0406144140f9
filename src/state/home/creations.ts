import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, readdir, rm } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import { UserError, codeOf } from '../../errors.ts'
import { prepareSocketFolder, shortFolderFor, longestSocketPath } from '../../os/socket-folder.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { removeWithLeftovers, replaceFile } from '../../os/replace-file.ts'

/**
 * The data that another attempt needs to request the same host from the provider. The user-data contains a private host
 * key.
 */
export interface CreationSecrets {
  /** The public login key, `ssh-ed25519 AAAA…`, and its `SHA256:…` fingerprint. */
  readonly publicKey: string
  readonly fingerprint: string
  /** The public host key that the user-data installs, `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
  /** The user-data as passed to the provider. */
  readonly userData: Uint8Array
  /** The tags of all resources; absent in files that early versions wrote. */
  readonly tags?: Readonly<Record<string, string>>
}

/** Unfinished creations, keyed by token, stored in home until the machine is ready. */
export interface Creations {
  find(token: string): Promise<CreationSecrets | undefined>
  /** Saves the data of a creation. The data is durable once the promise resolves. */
  save(token: string, secrets: CreationSecrets): Promise<void>
  drop(token: string): Promise<void>
  /**
   * Runs `work` while no other process of this user is working on the host. The lock is released when this process
   * exits, if not earlier. Throws kind `locked` if another process holds it.
   */
  withLock<Result>(token: string, machine: string, work: () => Promise<Result>): Promise<Result>
}

const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16)

/**
 * Returns the path of the socket that serves as the lock: the system releases it immediately when the process exits.
 */
function socketFor(folder: string, token: string): string {
  const name = `${digest(`${folder} ${token}`)}.sock`
  if (process.platform === 'win32') return String.raw`\\.\pipe\fleet-${name}`
  const path = join(folder, name)
  return Buffer.byteLength(path) <= longestSocketPath ? path : join(shortFolderFor(folder), name)
}

async function isHeld(path: string): Promise<boolean> {
  const { connect } = await import('node:net') // not needed by most commands
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

/** Removes sockets of dead processes in `folder`. */
async function removeDeadSockets(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const paths = (await readdir(folder))
    .filter((name) => name.endsWith('.sock'))
    .map((name) => join(folder, name))
  for (const path of paths) if (!(await isHeld(path))) await rm(path, { force: true })
}

/** Listens on `path`; `undefined` if a running process already does. */
async function listen(path: string): Promise<Server | undefined> {
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

/** Opens the unfinished creations in `home`. */
export function openCreations(home: string): Creations {
  const folder = join(home, 'creations')
  const fileFor = (token: string): string => childPath(folder, `${digest(token)}.json`)
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
        throw explainDiskError(error, { kind: 'failed', operation: 'read', file })
      }
    },
    async save(token, secrets) {
      const file = fileFor(token)
      await prepare()
      const userData = Buffer.from(secrets.userData).toString('base64')
      try {
        await replaceFile(file, JSON.stringify({ ...secrets, userData }), { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
      }
    },
    drop: (token) => removeWithLeftovers(fileFor(token)),
    async withLock(token, machine, work) {
      await prepare()
      const path = socketFor(folder, token)
      if (process.platform !== 'win32') await prepareSocketFolder(dirname(path))
      const { withLock } = await import('../../os/lock.ts') // not needed by most commands
      // One lock for all hosts: otherwise, a socket that another process has not finished binding would look dead.
      const server = await withLock(join(folder, 'hold'), async () => {
        await removeDeadSockets(folder)
        return listen(path)
      })
      if (server === undefined) {
        throw new UserError('locked', `another fleet process is working on ${machine}`, {
          machine,
          hint: 'wait until the other process ends, then try again',
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
