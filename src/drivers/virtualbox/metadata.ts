import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { codeOf } from '../../errors.ts'
import { tokenPattern } from '../../machine/record-patterns.ts'
import type { Places } from './paths.ts'

/** Tags of a machine, which identify its fleet and token. */
export type Note = Readonly<Record<string, string>>

/** Writes the tags of a machine before anything else of it exists. */
export async function writeNote(places: Places, token: string, tags: Note): Promise<void> {
  const { folder, note } = places.machine(token)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(note, `${JSON.stringify(tags)}\n`)
}

/** The tags of a machine; empty if its creation was not started here. */
export async function readNote(places: Places, token: string): Promise<Note> {
  try {
    return JSON.parse(await readFile(places.machine(token).note, 'utf8')) as Note
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return {} // writing was interrupted
    throw error
  }
}

/** The tags of all machines whose creation was started on this computer, by token. */
export async function readNotes(places: Places): Promise<ReadonlyMap<string, Note>> {
  const tokens = await readdir(places.machines).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  const notes = await Promise.all(
    tokens
      .filter((name) => tokenPattern.test(name))
      .map(async (token) => [token, await readNote(places, token)] as const),
  )
  return new Map(notes)
}
