import ignore from '@balena/dockerignore'
import { readFile, readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { UserError, codeOf, fileProblemOf } from '../../../errors.ts'
import { packTree } from '../../copy/local-tar.ts'

/** A build context to send to a host. */
export interface BuildContext {
  /** The archive, as a stream from disk. */
  readonly archive: Readable
  /** The path of the Dockerfile in the context; undefined if it is outside the context. */
  readonly dockerfile: string | undefined
  /** The content of the Dockerfile. */
  readonly instructions: Buffer
  /** The content of `<Dockerfile>.dockerignore`, if the Dockerfile is outside the context and such a file exists. */
  readonly rules: string | undefined
}

type Dockerfile = { readonly path: string } | { readonly content: Buffer }

const readOptional = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw unreadable(path, error)
  })

const unreadable = (path: string, error: unknown): UserError =>
  new UserError('failed', `cannot read ${path}: ${fileProblemOf(error)}`, { cause: error })

async function readDockerfile(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw codeOf(error) === 'ENOENT'
      ? new UserError('failed', `the Dockerfile ${path} does not exist`, {
          hint: 'specify its path with --file',
        })
      : unreadable(path, error)
  }
}

/** The path of `file` below `folder`, with `/` as the separator; undefined if `file` is elsewhere. */
function pathInside(folder: string, file: string): string | undefined {
  const path = relative(folder, file)
  return path === '' || path === '..' || path.startsWith(`..${sep}`)
    ? undefined
    : path.replaceAll(sep, '/')
}

/**
 * Reads the exclusion rules of a context: `<Dockerfile>.dockerignore`, or else `.dockerignore`. The Dockerfile and the
 * rules themselves are always sent.
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
  if (inside !== undefined) kept.add(inside).add(`${inside}.dockerignore`)
  return {
    excludes: (path) => !kept.has(path) && matcher.ignores(path),
    hasExceptions: /^\s*!/m.test(rules) || (inside?.includes('/') ?? false),
  }
}

/** The paths of a context that docker would send, in order, directories before their content. */
export async function* contextPaths(
  folder: string,
  dockerfile: string | undefined,
): AsyncGenerator<string> {
  yield* pathsOf(folder, await readRules(folder, dockerfile))
}

/** The paths of a context in order, directories before their content. */
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

/** Packs the paths of a context as docker would send them. */
export const packContext = (folder: string, dockerfile: string | undefined): Readable =>
  packTree(folder, {
    paths: contextPaths(folder, dockerfile),
    owner: { uid: 0, gid: 0 }, // like docker, so that images do not depend on the local user
  })

/**
 * Opens a build context as docker's client does: without the paths excluded by `.dockerignore`, with modes, empty
 * directories and symbolic links. The Dockerfile and the rules are always sent, because docker on the host reads them.
 * Throws kind `failed` when there is no Dockerfile; the archive fails when a file cannot be read.
 */
export async function openBuildContext(
  folder: string,
  dockerfile: Dockerfile = { path: join(folder, 'Dockerfile') },
): Promise<BuildContext> {
  const path = 'path' in dockerfile ? dockerfile.path : undefined
  const instructions =
    'path' in dockerfile ? await readDockerfile(dockerfile.path) : dockerfile.content
  const inside = path === undefined ? undefined : pathInside(folder, path)
  return {
    archive: packContext(folder, path),
    dockerfile: inside,
    instructions,
    rules:
      path === undefined || inside !== undefined
        ? undefined
        : await readOptional(`${path}.dockerignore`),
  }
}
