import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { prepareSocketFolder, shortFolderFor } from '../../os/socket-folder.ts'
import { ignored } from '../../os/trace.ts'

/** The name of the socket through which ssh shares a connection. */
export const sharedSocket = 'ctl'

/** How long a login may take before its directory counts as abandoned, in milliseconds. */
const loginMs = 10 * 60_000

/**
 * Returns the directory for all connections of this user. Its path is short, because ssh adds 17 characters to the name
 * of a new socket.
 */
const baseFolder = (): string => shortFolderFor(`openssh of ${userInfo().uid}`)

const isShared = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const attempt = connect(socket)
    attempt.once('connect', () => resolve(true)).once('error', () => resolve(false))
    attempt.once('close', () => resolve(false))
    attempt.once('connect', () => attempt.destroy())
  })

/** Removes the files of a process that was killed together with its ssh. */
async function removeAbandoned(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    const folder = join(base, name)
    const age = Date.now() - (await stat(folder)).mtimeMs
    if (age < loginMs || (await isShared(join(folder, sharedSocket)))) continue
    await rm(folder, { recursive: true, force: true })
  }
}

let cleaning: Promise<void> | undefined

/** Creates a directory, accessible only to this user, for the files of one connection. */
export async function createFolder(): Promise<string> {
  const base = baseFolder()
  await prepareSocketFolder(base)
  cleaning ??= removeAbandoned(base).catch(ignored('ssh', 'remove files that ssh left behind'))
  return mkdtemp(join(base, 's-'))
}
