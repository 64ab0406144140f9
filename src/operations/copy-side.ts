import type { Readable } from 'node:stream'

/** What a path leads to. A link that leads nowhere is a file. */
export interface Found {
  readonly sort: 'absent' | 'file' | 'folder' | 'link to a folder'
  /** Absolute: the folder it is in, without links, and its name. */
  readonly folder: string
  readonly name: string
  /** What it leads to, without links, when that is a folder. */
  readonly real: string | undefined
  /** Whether it is a file of more than {@link longFile} bytes, as far as that can be told. */
  readonly isLong: boolean
}

/** From this size on, in bytes, a connection of its own pays for a file. */
export const longFile = 1 << 25

/** A folder beside a target, where files wait until all have arrived. Disposing removes it. */
export interface Landing extends AsyncDisposable {
  /** Unpacks an archive here. */
  fill(archive: Readable): Promise<void>
  /** Moves `name` to `target`: its new place, or a folder to merge it into. */
  settle(name: string, target: string, how: 'move' | 'merge'): Promise<void>
}

/** One end of a copy: a machine, or this computer. */
export interface Side {
  /** The machine's name, if it is one. */
  readonly machine: string | undefined
  /** Throws kind `failed` when the folder above the path is not there. */
  look(path: string): Promise<Found>
  /** An archive of one file or folder; fails when not all of it could be read. */
  read(folder: string, name: string): Readable
  land(folder: string): Promise<Landing>
}
