import type { Entry, LocalEntry, LocalFiles } from './read-local-files.ts'

/** The files that fleet last copied to a host, keyed by path below the root. */
export type Shipped = ReadonlyMap<string, Entry>

/** The item at a path on the host; `other` is an unreadable or special file. */
export type HostEntry =
  | { readonly type: 'file'; readonly digest: string }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'folder' | 'other' | 'nothing' }

/** The changes that update the files on a host. */
export interface ShippingPlan {
  /** The items to send, directories before their content. */
  readonly send: LocalFiles
  /**
   * Paths to remove, the contents of a directory before the directory itself. A directory that is not empty is kept.
   */
  readonly remove: readonly string[]
  /** Items whose mode is the only change. */
  readonly chmod: LocalFiles
  /** Paths that changed both locally and on the host. */
  readonly conflicts: readonly string[]
  /** The record of copied files after the update. */
  readonly shipped: Shipped
}

/** Whether two items are the same, apart from modes. */
export const isSame = (
  one: Entry | HostEntry | undefined,
  other: Entry | HostEntry | undefined,
): boolean =>
  one?.type === other?.type &&
  (one?.type !== 'file' || one.digest === (other as { digest: string }).digest) &&
  (one?.type !== 'link' || one.target === (other as { target: string }).target)

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/**
 * Plans the changes on a host. Files that fleet did not copy, or that have been changed on the host since, are treated
 * as data (usually a container's) and kept. If the local file has changed too, the path is a conflict.
 * - `isHere`: whether a path that is not in `local` still exists on this computer.
 */
export function planShipping({
  local,
  shipped,
  host,
  isHere,
}: {
  readonly local: LocalFiles
  readonly shipped: Shipped
  readonly host: ReadonlyMap<string, HostEntry>
  readonly isHere: (path: string) => boolean
}): ShippingPlan {
  const send = new Map<string, LocalEntry>()
  const remove: string[] = []
  const chmod = new Map<string, LocalEntry>()
  const conflicts = new Set<string>()
  const next = new Map<string, Entry>()
  const removedThere = new Set<string>()
  /** Maps each local directory that was replaced on the host to the path of the item that replaced it. */
  const replacedThere = new Map<string, string>()
  const there = (path: string): HostEntry => host.get(path) ?? { type: 'nothing' }

  for (const [path, base] of shipped) {
    if (local.has(path)) continue
    if (isHere(path)) next.set(path, base)
    else if (isSame(base, there(path))) remove.push(path)
  }
  for (const [path, entry] of [...local].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const base = shipped.get(path)
    const found = there(path)
    const isUnchangedHere = isSame(entry, base)
    const record: Entry = recordOf(entry)
    const replacement = replacedThere.get(parentOf(path))
    if (replacement !== undefined) {
      if (entry.type === 'folder') replacedThere.set(path, replacement)
      if (isUnchangedHere) next.set(path, record)
      else conflicts.add(replacement)
    } else if (isSame(entry, found)) {
      const isOtherMode =
        entry.type !== 'link' && base?.type === entry.type && base.mode !== entry.mode
      if (isOtherMode) chmod.set(path, entry)
      next.set(path, record)
    } else if (found.type === 'nothing') {
      // if a container removed the item but not its parent directory, the item stays removed
      const parent = parentOf(path)
      const hadParent = removedThere.has(parent) || there(parent).type === 'folder'
      if (isUnchangedHere && entry.isInMount && hadParent) removedThere.add(path)
      else send.set(path, entry)
      next.set(path, record)
    } else if (isSame(base, found) || isPlaceholder(found, entry, base)) {
      if (found.type !== entry.type) remove.push(path)
      send.set(path, entry)
      next.set(path, record)
    } else if (isUnchangedHere && base !== undefined) {
      next.set(path, base)
      if (entry.type === 'folder') replacedThere.set(path, path)
    } else {
      conflicts.add(path)
      if (entry.type === 'folder') replacedThere.set(path, path)
    }
  }
  remove.sort((one, other) => (one > other ? -1 : 1))
  return { send, remove, chmod, conflicts: [...conflicts], shipped: next }
}

/**
 * Whether an item is a directory that the engine created for a missing mount source. If it is empty, the local file
 * replaces it.
 */
const isPlaceholder = (found: HostEntry, entry: Entry, base: Entry | undefined): boolean =>
  base === undefined && found.type === 'folder' && entry.type !== 'folder'

const recordOf = (entry: Entry): Entry => {
  if (entry.type === 'file') return { type: 'file', mode: entry.mode, digest: entry.digest }
  if (entry.type === 'folder') return { type: 'folder', mode: entry.mode }
  return { type: 'link', target: entry.target }
}
