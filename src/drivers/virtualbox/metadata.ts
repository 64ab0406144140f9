import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { codeOf } from '../../errors.ts'
import { tokenPattern } from '../../machine/record-patterns.ts'
import type { Places } from './paths.ts'

/** Whose a machine is: fleet's tags. */
export type Note = Readonly<Record<string, string>>

/** Writes whose a machine is, before there is anything of it. */
export async function writeNote(places: Places, token: string, tags: Note): Promise<void> {
  const { folder, note } = places.machine(token)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(note, `${JSON.stringify(tags)}\n`)
}

/** Whose a machine is; nothing where none was begun here. */
export async function readNote(places: Places, token: string): Promise<Note> {
  try {
    return JSON.parse(await readFile(places.machine(token).note, 'utf8')) as Note
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return {} // cut short
    throw error
  }
}

/** All machines that were begun on this computer, by token. */
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
