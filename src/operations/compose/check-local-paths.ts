import { realpath } from 'node:fs/promises'
import { parse } from 'node:path'
import { UserError } from '../../errors.ts'
import { ignored } from '../../os/trace.ts'
import { type ProjectModel, type Use, localFileOf, mapPaths } from './project-model.ts'
import { type Root, isWithin } from './rooted-paths.ts'

/** Top-level directories that never belong to a project. Sources: the Filesystem Hierarchy Standard 3.0; macOS. */
const systemFolders = new Set(
  `bin boot dev etc home lib lib32 lib64 media mnt opt private proc root run sbin srv sys tmp usr var
  Applications Library System Users Volumes`
    .split(/\s+/)
    .map((name) => `/${name}`),
)

/** Directories whose files are kernel interfaces. */
const kernelFolders = ['/dev', '/proc', '/sys']

/** Returns the reason a path must not be copied to a host; undefined if it may be copied. */
function reasonOf(
  path: string,
  { home, folder }: { readonly home: string; readonly folder: string },
): string | undefined {
  if (path === parse(path).root) return "this computer's root directory"
  if (path === home) return 'your home directory'
  if (isWithin(path, home)) return 'a directory that contains your home directory'
  if (kernelFolders.some((one) => isWithin(one, path))) return 'part of a kernel file system'
  const isSystem = systemFolders.has(path) && !isWithin(folder, path)
  return isSystem ? 'a system directory' : undefined
}

/**
 * Throws kind `unsupported` for a model that would copy the root directory, a home directory or a system directory of
 * this computer, because of a relative path with too many `..` or a link to such a directory. `folder` is the project
 * directory; `subject` is the start of the message.
 */
export async function checkLocalPaths(
  model: ProjectModel,
  {
    root,
    folder,
    home,
    uses = ['mount', 'build'],
    subject = '',
  }: {
    readonly root: Root
    readonly folder: string
    readonly home: string
    readonly uses?: readonly Use[]
    readonly subject?: string
  },
): Promise<void> {
  const owners = new Map<string, string>()
  mapPaths(model, (path, use, owner) => {
    const local = uses.includes(use) ? localFileOf(root, folder, path) : undefined
    if (local !== undefined && !owners.has(local)) owners.set(local, owner)
    return path
  })
  const none = ignored('docker', 'resolve the links in a path')
  const realHome = (await realpath(home).catch(none)) ?? home
  for (const [path, owner] of owners) {
    const real = (await realpath(path).catch(none)) ?? path
    const why = reasonOf(path, { home, folder }) ?? reasonOf(real, { home: realHome, folder })
    if (why === undefined) continue
    throw new UserError(
      'unsupported',
      `${subject}${owner} uses ${path}, which is ${why}; fleet does not copy this path to hosts`,
      {
        hint: 'specify only the file or directory that you need; for a path on the host, use an absolute path',
      },
    )
  }
}
