import {
  chmod,
  lstat,
  lutimes,
  mkdir,
  readFile,
  readdir,
  readlink,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'

/** A file, a symbolic link, or a directory. */
export type Tree = { readonly mode: number; readonly seconds: number } & (
  | { readonly content: string }
  | { readonly link: string }
  | { readonly inside: Readonly<Record<string, Tree>> }
)

/** File names, including some that programs often handle wrongly. */
const names = fc.oneof(
  fc.constantFrom(
    '-rf',
    '--',
    ' ',
    'a b',
    'new\nline',
    "it's",
    '"q"',
    '$HOME',
    '*',
    '\\',
    'é☂',
    '.hidden',
    '~',
    'c:d',
    '%s',
    'long'.repeat(40),
  ),
  fc
    .string({ minLength: 1, maxLength: 12 })
    .filter((name) => !/[/\0]/.test(name) && !/^\.{1,2}$/.test(name)),
)

const facts = { seconds: fc.integer({ min: 0, max: 1_900_000_000 }) }
const file = fc.record({
  ...facts,
  mode: fc.constantFrom(0o644, 0o600, 0o755, 0o444, 0o640),
  content: fc.oneof(fc.string(), fc.constant('x'.repeat(70_000)), fc.constant('')),
})
const link = fc.record({
  ...facts,
  mode: fc.constant(0o777),
  link: fc.constantFrom('nowhere', '/etc/passwd', '../..', '.', 'a b'),
})

/** Directory trees, at most three levels deep; some directories are not writable. */
export const trees: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    ...facts,
    mode: fc.constantFrom(0o755, 0o700, 0o555),
    inside: fc.dictionary(names, fc.oneof({ maxDepth: 2 }, file, link, tie('tree')), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  }),
})).tree

/** Creates a tree at `path`. */
export async function makeTree(path: string, tree: Tree): Promise<void> {
  if ('content' in tree) await writeFile(path, tree.content)
  else if ('link' in tree) await symlink(tree.link, path)
  else {
    await mkdir(path)
    for (const [name, inner] of Object.entries(tree.inside)) await makeTree(join(path, name), inner)
  }
  if (!('link' in tree)) await chmod(path, tree.mode)
  await lutimes(path, tree.seconds, tree.seconds)
}

/** Resolves to everything about `path` that a copy must preserve. */
export async function describeTree(path: string): Promise<unknown> {
  const found = await lstat(path)
  const facts = {
    mode: (found.mode & 0o777).toString(8),
    seconds: Math.floor(found.mtimeMs / 1000),
  }
  if (found.isSymbolicLink()) return { ...facts, link: await readlink(path) }
  if (!found.isDirectory()) return { ...facts, content: await readFile(path, 'utf8') }
  const inside = new Map<string, unknown>()
  for (const name of (await readdir(path)).sort())
    inside.set(name, await describeTree(join(path, name)))
  return { ...facts, inside }
}
