import type { Readable } from 'node:stream'
import type { Accepted } from './archive/accept-entries.ts'

/** What a path leads to. */
export interface Found {
  /** `other`: a device, a FIFO or a socket. A link counts as what it leads to. */
  readonly kind: 'absent' | 'file' | 'folder' | 'other'
  readonly isLink: boolean
}

/** What is to be copied. */
export interface FoundSource extends Found {
  /** The last name of the path, without links: for a path that ends in none, such as `.` or `~`. */
  readonly name: string
  /** Bytes of all files, as far as that was found out. */
  readonly size: number | undefined
}

/** Where a copy may go, and what is there. */
export interface FoundTarget extends Found {
  /** What is under the name of the source in it, if it is a folder. */
  readonly inside: Found | undefined
}

/** What to send. */
export interface Source {
  readonly path: string
  /** Sends what is in the folder that the path leads to; else the path itself, a link as a link. */
  readonly asFolder: boolean
  /** Sends what a link leads to, in place of the link. */
  readonly follow: boolean
}

/** Where a copy goes, and how. */
export interface Target {
  readonly path: string
  /**
   * - `place`: it appears under the path once all of it has arrived, in place of a link or a file.
   * - `merge`: into the folder that is there.
   * - `write`: as the content of the file or device that is there, which keeps its owner and mode.
   */
  readonly how: 'place' | 'merge' | 'write'
}

/** Takes what is copied, once. Disposing it removes what was not finished. */
export interface Receiver extends AsyncDisposable {
  /** Ends when all is in its place. */
  take(entries: AsyncIterable<Accepted>): Promise<void>
}

/** One end of a copy: a machine, or this computer. */
export interface Endpoint {
  /** The machine's name, if it is one. */
  readonly machine: string | undefined
  /** Throws kind `failed` when the folder above the path is not there. */
  lookAtSource(path: string): Promise<FoundSource>
  /** The same; `name`: that of the source. */
  lookAtTarget(path: string, name: string): Promise<FoundTarget>
  /** An archive of the last name of the path, or of a folder's `.`; it fails when not all of it could be read. */
  send(source: Source, leaveOut: (what: string) => void): Promise<Readable>
  receive(target: Target): Promise<Receiver>
}

/** From this size on, in bytes, a connection of its own pays. */
export const longCopy = 1 << 25

/** Up to this size, in bytes, a file that is there is written to only once all of its new content has arrived. */
export const smallFile = 1 << 20
