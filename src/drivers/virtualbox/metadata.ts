import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { codeOf } from '../../errors.ts'
import { tokenPattern } from '../../machine/record-patterns.ts'
import type { Paths } from './paths.ts'

/** Tags of a machine, which identify its fleet and token. */
export type MachineTags = Readonly<Record<string, string>>

/** Writes the tags of a machine before anything else of it exists. */
export async function writeMetadata(paths: Paths, token: string, tags: MachineTags): Promise<void> {
  const { folder, metadata } = paths.machine(token)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(metadata, `${JSON.stringify(tags)}\n`)
}

/** The tags of a machine; empty if its creation was not started here. */
export async function readMetadata(paths: Paths, token: string): Promise<MachineTags> {
  try {
    return JSON.parse(await readFile(paths.machine(token).metadata, 'utf8')) as MachineTags
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return {} // writing was interrupted
    throw error
  }
}

/** The tags of all machines whose creation was started on this computer, by token. */
export async function readAllMetadata(paths: Paths): Promise<ReadonlyMap<string, MachineTags>> {
  const tokens = await readdir(paths.machines).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  const notes = await Promise.all(
    tokens
      .filter((name) => tokenPattern.test(name))
      .map(async (token) => [token, await readMetadata(paths, token)] as const),
  )
  return new Map(notes)
}
