import { type Accepted, acceptEntries } from './archive/accept-entries.ts'
import { collectSkipped } from './archive/skipped-items.ts'
import { toByteString } from './archive/tar-format.ts'
import { chooseTarget, endsAsFolder, refuse } from './choose-target.ts'
import type { Context } from '../context.ts'
import { isSameLocal, openLocalEndpoint } from './local-files.ts'
import { type FoundSource, type Endpoint, type Source, type Target, longCopy } from './endpoint.ts'
import { copyWithinHost, openRemoteEndpoint } from './files-on-host.ts'
import type { CopyPath } from './remote-path.ts'

/** Opens one end of a copy; with `apart`, over a separate connection. */
async function openEndpoint(
  context: Context,
  { machine }: CopyPath,
  apart = false,
): Promise<Endpoint> {
  if (machine === undefined) return openLocalEndpoint(context.signal)
  const transport = await (apart ? context.connectApart(machine) : context.connect(machine))
  return openRemoteEndpoint({ name: machine.name, transport }, context.signal)
}

/** The last component of a path; undefined if it is not a name, such as `.` or `..`. */
function typedName({ machine, path }: CopyPath): string | undefined {
  const parts = machine === undefined && process.platform === 'win32' ? /[\\/]+/ : /\/+/
  const name = path.split(parts).findLast((part) => part !== '') ?? ''
  const isWhole = path.replace(/\/+$/, '') === name
  return ['', '.', '..'].includes(name) || (isWhole && name === '~') ? undefined : name
}

/**
 * The name of the copy in a directory: the name that the user typed, so that a host cannot choose which file is
 * written. If the typed path has no name, the name that the other end reports is used; it must be a plain file name.
 */
function nameOf(place: CopyPath, found: FoundSource): string {
  const typed = typedName(place)
  if (typed !== undefined) return typed
  const { name } = found
  if (name === '') throw refuse(place, 'is the root directory: specify a directory below it')
  if (name === '.' || name === '..' || /[/\\\p{Cc}]/u.test(name)) {
    throw refuse(
      place,
      'has a name that cannot be used for the copy: specify a directory below it, or a target that does not exist yet',
    )
  }
  return name
}

/** Checks that a source can be copied. `follow`: whether to copy the target of a link instead of the link. */
function checkSource(place: CopyPath, found: FoundSource, follow: boolean): Source {
  const { kind } = found
  const isLink = found.isLink && !follow
  const asFolder = endsAsFolder(place.path) || typedName(place) === undefined
  if (kind === 'absent' && !isLink) {
    throw refuse(place, found.isLink ? 'is a broken link' : 'does not exist')
  }
  if (asFolder && kind !== 'folder') throw refuse(place, 'is not a directory')
  if (kind === 'other' && !isLink) {
    throw refuse(
      place,
      'is a device, FIFO or socket: only files, directories and links can be copied',
    )
  }
  return { path: place.path, asFolder: kind === 'folder' && (asFolder || !isLink), follow }
}

/** The progress of a copy. */
export interface CopyProgress {
  /** The number of bytes of file contents copied so far. */
  readonly bytes: number
  /** The total number of bytes, if it is known. */
  readonly total: number | undefined
}

/** The result of a copy. */
export interface Copied {
  readonly bytes: number
  /** Items that were skipped or changed, such as `run/lock is a FIFO`. */
  readonly skipped: readonly string[]
}

/**
 * Copies a file or a directory between two machines, or between a machine and this computer, like `cp -R`: into an
 * existing directory under the source's name, or else under the given name. A target that ends in `/` must be a
 * directory. Modes, times and symbolic links are kept, but a link that is itself the source on a machine is followed,
 * as scp does. The copies belong to the target user. A directory is merged into an existing one; an existing file is
 * overwritten in place.
 *
 * New files are first written to a hidden directory next to the target: a copy that fails or is interrupted leaves
 * nothing under the target's name. Data from a machine is untrusted: it cannot choose where, or through which link,
 * anything is written. `intoFolder`: whether the target must be a directory.
 */
export async function copyFiles(
  context: Context,
  from: CopyPath,
  to: CopyPath,
  progress: (state: CopyProgress) => void,
  { intoFolder = false }: { readonly intoFolder?: boolean } = {},
): Promise<Copied> {
  const { signal } = context
  const [origin, end] = await Promise.all([openEndpoint(context, from), openEndpoint(context, to)])
  const found = await origin.inspectSource(from.path)
  // Otherwise a machine could place a link here, and a later copy to that name would be written to the link's target.
  const follow = origin.machine !== undefined && origin.machine !== end.machine
  const source = checkSource(from, found, follow)
  const name = nameOf(from, found)
  const isLink = found.isLink && !source.asFolder && !follow
  const kept = { name, asFolder: source.asFolder, isLink }
  const there = await end.inspectTarget(to.path, name)
  if (intoFolder && there.kind !== 'folder') throw refuse(to, 'is not a directory')
  const target = chooseTarget(to, there, kept)
  const skipped = collectSkipped()
  const onSkipped = skipped.add
  if (origin.machine !== undefined && origin.machine === end.machine && from.machine) {
    const host = { name: from.machine.name, transport: await context.connect(from.machine) }
    await copyWithinHost(host, source, target, { signal, onSkipped })
    return { bytes: found.size ?? 0, skipped: skipped.list() }
  }
  if (from.machine === undefined && to.machine === undefined) {
    await refuseItself(from, source, target)
  }
  const isLong = (found.size ?? 0) > longCopy
  const [sender, receiver] = isLong
    ? await Promise.all([openEndpoint(context, from, true), openEndpoint(context, to, true)])
    : [origin, end]
  // A fixed order prevents a deadlock between two copies in opposite directions, when each host allows only one
  // session.
  const isSenderFirst = (origin.machine ?? '') <= (end.machine ?? '')
  let archive = isSenderFirst ? await sender.send(source, onSkipped) : undefined
  let bytes = 0
  try {
    await using destination = await receiver.receive(target)
    archive ??= await sender.send(source, onSkipped)
    const entries = acceptEntries(archive, {
      root: source.asFolder ? '.' : toByteString(name),
      expected: source.asFolder ? 'folder' : follow ? 'file' : 'file or link',
      machine: from.machine?.name,
      onSkipped,
    })
    await destination.take(
      counted(entries, (count) => {
        bytes += count
        progress({ bytes, total: found.size })
      }),
    )
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    archive?.destroy() // even if reading has not started
  }
  return { bytes, skipped: skipped.list() }
}

/** Passes entries through, and counts the bytes of file contents. */
async function* counted(
  entries: AsyncIterable<Accepted>,
  count: (bytes: number) => void,
): AsyncGenerator<Accepted, void> {
  async function* pass(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    for await (const piece of content) {
      count(piece.length)
      yield piece
    }
  }
  for await (const entry of entries) yield { ...entry, content: pass(entry.content) }
}

/** Throws when a copy on this computer would read its own output. */
async function refuseItself(from: CopyPath, source: Source, target: Target): Promise<void> {
  if (!(await isSameLocal(source, target))) return
  throw refuse(
    from,
    source.asFolder ? 'cannot be copied into itself' : 'is the same file as the target',
  )
}
