import type { Entry, LocalEntry, LocalFiles } from './read-local-files.ts'

/** What fleet last brought to a host, by path below the root. */
export type Shipped = ReadonlyMap<string, Entry>

/** What a host has at a path; `other` is what fleet cannot read or did not make. */
export type HostEntry =
  | { readonly type: 'file'; readonly digest: string }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'folder' | 'other' | 'nothing' }

/** What makes a host's files as they are to be. */
export interface ShippingPlan {
  /** What is sent, folders before what they hold. */
  readonly send: LocalFiles
  /** Paths that are removed, what a folder holds before it. A folder that is not empty stays. */
  readonly remove: readonly string[]
  /** Of what the mode alone is set. */
  readonly chmod: LocalFiles
  /** Paths that changed here and on the host. */
  readonly conflicts: readonly string[]
  /** What is on record once this is done. */
  readonly shipped: Shipped
}

const isSame = (
  one: Entry | HostEntry | undefined,
  other: Entry | HostEntry | undefined,
): boolean =>
  one?.type === other?.type &&
  (one?.type !== 'file' || one.digest === (other as { digest: string }).digest) &&
  (one?.type !== 'link' || one.target === (other as { target: string }).target)

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/**
 * Decides what to change on a host. What fleet did not bring there, or what was changed there since, is somebody's data
 * (a container's, as a rule) and stays: where it stayed the same here, as it is; where it did not, as a conflict.
 * - `isHere`: whether a path that is not in `local` exists on this computer all the same.
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
  /** By folder of ours: what is there in its place, as a container made it. */
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
      // a container's removal counts as long as the folder is there that it removed it from
      const parent = parentOf(path)
      const hadPlace = removedThere.has(parent) || there(parent).type === 'folder'
      if (isUnchangedHere && entry.isInMount && hadPlace) removedThere.add(path)
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

/** An engine makes a folder where a container is to mount what is not there. One that is empty gives way to a file. */
const isPlaceholder = (found: HostEntry, entry: Entry, base: Entry | undefined): boolean =>
  base === undefined && found.type === 'folder' && entry.type !== 'folder'

const recordOf = (entry: Entry): Entry => {
  if (entry.type === 'file') return { type: 'file', mode: entry.mode, digest: entry.digest }
  if (entry.type === 'folder') return { type: 'folder', mode: entry.mode }
  return { type: 'link', target: entry.target }
}
