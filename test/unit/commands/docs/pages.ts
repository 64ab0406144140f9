import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Root directory of the repository. */
export const repository = join(import.meta.dirname, '../../../..')

/** A Markdown file of the repository. */
export interface Page {
  /** Path relative to the root of the repository. */
  readonly path: string
  readonly text: string
}

const folders = ['', 'docs', 'docs/drivers', 'bench', 'examples', '.github']

async function pathsIn(folder: string): Promise<string[]> {
  const names = await readdir(join(repository, folder), {
    recursive: folder === 'examples' || folder === '.github',
  }).catch(() => [])
  return names.filter((name) => name.endsWith('.md')).map((name) => join(folder, name))
}

/** Reads all Markdown pages that are written for people. */
export async function readPages(): Promise<Page[]> {
  const paths = (await Promise.all(folders.map(pathsIn))).flat()
  return Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(repository, path), 'utf8') })),
  )
}
