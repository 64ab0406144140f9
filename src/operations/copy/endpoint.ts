import type { Readable } from 'node:stream'
import type { Accepted } from './archive/accept-entries.ts'

/** The type of a path. */
export interface Found {
  /** `other`: a device, a FIFO or a socket. Links are followed. */
  readonly kind: 'absent' | 'file' | 'folder' | 'other'
  readonly isLink: boolean
}

/** The type, name and size of a source path. */
export interface FoundSource extends Found {
  /** The real name, for a path that does not end in a name, such as `.` or `~`. */
  readonly name: string
  /** The total size of all files in bytes, if it is known. */
  readonly size: number | undefined
}

/** The type of a target path and, if the target is a directory, the type of its entry with the source's name. */
export interface FoundTarget extends Found {
  /** The directory's entry with the source's name; undefined if the target is not a directory. */
  readonly inside: Found | undefined
}

/** A path to send, and how to send it. */
export interface Source {
  readonly path: string
  /** Whether to send the content of the directory instead of the path itself. */
  readonly asFolder: boolean
  /** Whether to send the target of a link instead of the link. */
  readonly follow: boolean
}

/** Where and how a copy is written. */
export interface Target {
  readonly path: string
  /**
   * - `place`: created at the path after all data has arrived; replaces a link or a file.
   * - `merge`: merged into the existing directory.
   * - `write`: written to the existing file or device, which keeps its owner and mode.
   */
  readonly how: 'place' | 'merge' | 'write'
}

/** Receives a single copy. Disposing removes unfinished data. */
export interface Receiver extends AsyncDisposable {
  /** Resolves when everything has been written. */
  take(entries: AsyncIterable<Accepted>): Promise<void>
}

/** One end of a copy: a machine, or this computer. */
export interface Endpoint {
  /** The name of the machine; undefined for this computer. */
  readonly machine: string | undefined
  /** Inspects a source path. Throws kind `failed` when its parent directory does not exist. */
  inspectSource(path: string): Promise<FoundSource>
  /** Like `inspectSource`, but for a target; `name` is the name of the source. */
  inspectTarget(path: string, name: string): Promise<FoundTarget>
  /**
   * Resolves to an archive of the path, or of a directory's content (`.`). The stream fails if some data cannot be
   * read.
   */
  send(source: Source, onSkipped: (what: string) => void): Promise<Readable>
  receive(target: Target): Promise<Receiver>
}

/** The size, in bytes, at or above which a separate connection is faster. */
export const longCopy = 1 << 25

/** Up to this size, in bytes, an existing file is overwritten only after all of the new content has arrived. */
export const smallFile = 1 << 20
