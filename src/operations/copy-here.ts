import { cp, lstat, mkdtemp, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { UserError, messageOf } from '../errors.ts'
import { type Found, type Landing, type Side, longFile } from './copy-side.ts'
import { packTree, pathsBelow, unpackTree } from './local-tree.ts'

const cannotWrite = (path: string, cause: unknown): UserError =>
  new UserError('failed', `cannot write ${path}: ${messageOf(cause)}`, { cause })

async function look(typed: string): Promise<Found> {
  const path = resolve(typed)
  const folder = await realpath(dirname(path)).catch((cause: unknown) => {
    throw new UserError('failed', `there is no folder ${dirname(path)}`, { cause })
  })
  const name = basename(path)
  const found = await lstat(path).catch(() => undefined)
  const target = await stat(path).catch(() => undefined)
  const flat = { folder, name, real: undefined }
  if (found === undefined) return { sort: 'absent', ...flat, isLong: false }
  if (target?.isDirectory() !== true)
    return { sort: 'file', ...flat, isLong: found.size > longFile }
  const sort = found.isSymbolicLink() ? 'link to a folder' : 'folder'
  return { sort, folder, name, real: await realpath(path), isLong: false }
}

async function land(folder: string): Promise<Landing> {
  const path = await mkdtemp(join(folder, '.fleet-')).catch((error: unknown) => {
    throw cannotWrite(folder, error)
  })
  return {
    fill: (archive) => unpackTree(archive, path),
    async settle(name, target, how) {
      const from = join(path, name)
      const options = { recursive: true, preserveTimestamps: true, verbatimSymlinks: true }
      try {
        await (how === 'merge' ? cp(from, target, options) : rename(from, target))
      } catch (error) {
        throw cannotWrite(target, error)
      }
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

/** The files of this computer. */
export const here: Side = {
  machine: undefined,
  look,
  read: (folder, name) => packTree(folder, { paths: pathsBelow(folder, name) }),
  land,
}
