import ignore from '@balena/dockerignore'
import { readFile, readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { UserError, codeOf, fileTroubleOf } from '../../errors.ts'
import { packTree } from '../local-tree.ts'

/** The name of a Dockerfile that is not part of the context, in the archive. */
const foreignDockerfile = '.fleet.Dockerfile'

/** A build context on its way to an engine. */
export interface BuildContext {
  /** The archive; it is read from disk while it is read. */
  readonly archive: Readable
  /** The Dockerfile's name in the archive. */
  readonly dockerfile: string
  /** What the Dockerfile says. */
  readonly instructions: string
}

type Dockerfile = { readonly path: string } | { readonly content: Buffer }

const readOptional = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw unreadable(path, error)
  })

const unreadable = (path: string, error: unknown): UserError =>
  new UserError('failed', `cannot read ${path}: ${fileTroubleOf(error)}`, { cause: error })

async function readDockerfile(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw codeOf(error) === 'ENOENT'
      ? new UserError('failed', `there is no Dockerfile ${path}`, { hint: 'name it with --file' })
      : unreadable(path, error)
  }
}

/** The path of `file` below `folder`, with `/`, or nothing when it is elsewhere. */
function pathInside(folder: string, file: string): string | undefined {
  const path = relative(folder, file)
  return path === '' || path === '..' || path.startsWith(`..${sep}`)
    ? undefined
    : path.replaceAll(sep, '/')
}

/**
 * Which paths of a context stay behind: the rules of `<Dockerfile>.dockerignore`, else of
 * `.dockerignore`. The Dockerfile and the rules themselves are always sent.
 */
async function readRules(
  folder: string,
  dockerfile: string | undefined,
): Promise<{ excludes: (path: string) => boolean; hasExceptions: boolean }> {
  const own =
    dockerfile === undefined ? undefined : await readOptional(`${dockerfile}.dockerignore`)
  const rules = own ?? (await readOptional(join(folder, '.dockerignore')))
  if (rules === undefined) return { excludes: () => false, hasExceptions: false }
  const matcher = ignore.default({ ignorecase: false }).add(rules.replace(/^\uFEFF/, ''))
  const kept = new Set(['.dockerignore'])
  const inside = dockerfile === undefined ? undefined : pathInside(folder, dockerfile)
  if (inside !== undefined) kept.add(inside)
  return {
    excludes: (path) => !kept.has(path) && matcher.ignores(path),
    hasExceptions: /^\s*!/m.test(rules) || (inside?.includes('/') ?? false),
  }
}

/** The paths of a context that docker would send, in order, folders before what they hold. */
export const contextPaths = async function* (
  folder: string,
  dockerfile: string | undefined,
): AsyncGenerator<string> {
  yield* pathsOf(folder, await readRules(folder, dockerfile))
}

/** The paths of a context in order, folders before what they hold. */
async function* pathsOf(
  folder: string,
  { excludes, hasExceptions }: Awaited<ReturnType<typeof readRules>>,
  below = '',
): AsyncGenerator<string> {
  const entries = await readdir(join(folder, below), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    const excluded = excludes(path)
    if (!excluded) yield path
    if (entry.isDirectory() && (!excluded || hasExceptions)) {
      yield* pathsOf(folder, { excludes, hasExceptions }, path)
    }
  }
}

/**
 * Opens a folder as docker's client would send it: without what `.dockerignore` names, with
 * modes, empty folders and symbolic links. A Dockerfile from elsewhere is added under a name of
 * its own. Throws kind `failed` when there is no Dockerfile; the archive fails when a file
 * cannot be read.
 */
export async function openBuildContext(
  folder: string,
  dockerfile: Dockerfile = { path: join(folder, 'Dockerfile') },
): Promise<BuildContext> {
  const path = 'path' in dockerfile ? dockerfile.path : undefined
  const content = 'path' in dockerfile ? await readDockerfile(dockerfile.path) : dockerfile.content
  const inside = path === undefined ? undefined : pathInside(folder, path)
  const rules = await readRules(folder, path)
  const archive = packTree(folder, {
    paths: pathsOf(folder, rules),
    owner: { uid: 0, gid: 0 }, // as docker sends it: images do not depend on who builds them
    files: inside === undefined ? { [foreignDockerfile]: content } : {},
  })
  return {
    archive,
    dockerfile: inside ?? foreignDockerfile,
    instructions: content.toString('utf8'),
  }
}
