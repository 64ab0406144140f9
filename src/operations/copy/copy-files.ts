import { type Accepted, acceptEntries } from './archive/accept-entries.ts'
import { collectLeftOut } from './archive/left-out.ts'
import { toByteString } from './archive/tar-format.ts'
import { chooseTarget, endsAsFolder, refuse } from './choose-target.ts'
import type { Context } from '../context.ts'
import { isSameHere, openSideHere } from './local-endpoint.ts'
import { type FoundSource, type Endpoint, type Source, type Target, longCopy } from './endpoint.ts'
import { copyWithinHost, openSideThere } from './remote-endpoint.ts'
import type { Place } from './remote-path.ts'

/** One end of a copy; `apart`, over a connection of its own. */
async function openSide(context: Context, { machine }: Place, apart = false): Promise<Endpoint> {
  if (machine === undefined) return openSideHere(context.signal)
  const transport = await (apart ? context.connectApart(machine) : context.connect(machine))
  return openSideThere({ name: machine.name, transport }, context.signal)
}

/** The last name of a path; undefined where it has none. */
function typedName({ machine, path }: Place): string | undefined {
  const parts = machine === undefined && process.platform === 'win32' ? /[\\/]+/ : /\/+/
  const name = path.split(parts).findLast((part) => part !== '') ?? ''
  const isWhole = path.replace(/\/+$/, '') === name
  return ['', '.', '..'].includes(name) || (isWhole && name === '~') ? undefined : name
}

/**
 * The name that a copy gets in a folder: what was typed. Only for a path without a name is it that which the other end tells,
 * which must be one plain name: a host that is asked for one file must not choose which file is written.
 */
function nameOf(place: Place, found: FoundSource): string {
  const typed = typedName(place)
  if (typed !== undefined) return typed
  const { name } = found
  if (name === '') throw refuse(place, 'is the root folder: give a folder below it')
  if (name === '.' || name === '..' || /[/\\\p{Cc}]/u.test(name)) {
    throw refuse(
      place,
      'has no usable name: give a folder below it, or a target that does not exist yet',
    )
  }
  return name
}

/** `follow`: a link counts as what it leads to. */
function checkSource(place: Place, found: FoundSource, follow: boolean): Source {
  const { kind } = found
  const isLink = found.isLink && !follow
  const asFolder = endsAsFolder(place.path) || typedName(place) === undefined
  if (kind === 'absent' && !isLink) {
    throw refuse(place, found.isLink ? 'is a broken link' : 'does not exist')
  }
  if (asFolder && kind !== 'folder') throw refuse(place, 'is not a folder')
  if (kind === 'other' && !isLink) {
    throw refuse(
      place,
      'is a device, a FIFO or a socket: only files, folders and links can be copied',
    )
  }
  return { path: place.path, asFolder: kind === 'folder' && (asFolder || !isLink), follow }
}

/** What is known of a copy while it is under way. */
export interface CopyProgress {
  /** Bytes of files that have passed. */
  readonly bytes: number
  /** Of how many, as far as that is known. */
  readonly total: number | undefined
}

/** What came of a copy. */
export interface Copied {
  readonly bytes: number
  /** What could not be copied as it is, a text each, such as `run/lock is a FIFO`. */
  readonly leftOut: readonly string[]
}

/**
 * Copies a file or a folder between two machines, or between a machine and this computer, as
 * `cp -R` would: into a folder that exists, under the source's name; else to the name given,
 * which must be a folder's when it ends in `/`. Modes, times and symbolic links are kept, but a link that is itself named
 * on a machine is followed, as scp does; the copies are the user's there. A folder is merged into one of its name; a file that is there is written in place.
 *
 * What is not there yet waits in a hidden folder beside its place until all has arrived: a copy that fails or is
 * interrupted leaves nothing under the target's name. What a machine sends is data: it chooses neither where nor
 * through which link anything is written. `intoFolder`: the target must be a folder.
 */
export async function copyFiles(
  context: Context,
  from: Place,
  to: Place,
  progress: (state: CopyProgress) => void,
  { intoFolder = false }: { readonly intoFolder?: boolean } = {},
): Promise<Copied> {
  const { signal } = context
  const [origin, end] = await Promise.all([openSide(context, from), openSide(context, to)])
  const found = await origin.lookAtSource(from.path)
  // A link of a machine's would stand here, and a later copy to its name would be written to where the machine has it lead.
  const follow = origin.machine !== undefined && origin.machine !== end.machine
  const source = checkSource(from, found, follow)
  const name = nameOf(from, found)
  const isLink = found.isLink && !source.asFolder && !follow
  const kept = { name, asFolder: source.asFolder, isLink }
  const there = await end.lookAtTarget(to.path, name)
  if (intoFolder && there.kind !== 'folder') throw refuse(to, 'is not a folder')
  const target = chooseTarget(to, there, kept)
  const leftOut = collectLeftOut()
  const leaveOut = leftOut.add
  if (origin.machine !== undefined && origin.machine === end.machine && from.machine) {
    const host = { name: from.machine.name, transport: await context.connect(from.machine) }
    await copyWithinHost(host, source, target, { signal, leaveOut })
    return { bytes: found.size ?? 0, leftOut: leftOut.list() }
  }
  if (from.machine === undefined && to.machine === undefined) {
    await refuseItself(from, source, target)
  }
  const isLong = (found.size ?? 0) > longCopy
  const [sender, receiver] = isLong
    ? await Promise.all([openSide(context, from, true), openSide(context, to, true)])
    : [origin, end]
  // In one order everywhere: two copies between two hosts of one session each must not wait for each other.
  const isSenderFirst = (origin.machine ?? '') <= (end.machine ?? '')
  let archive = isSenderFirst ? await sender.send(source, leaveOut) : undefined
  let bytes = 0
  try {
    await using taker = await receiver.receive(target)
    archive ??= await sender.send(source, leaveOut)
    const entries = acceptEntries(archive, {
      root: source.asFolder ? '.' : toByteString(name),
      expected: source.asFolder ? 'folder' : follow ? 'file' : 'file or link',
      machine: from.machine?.name,
      leaveOut,
    })
    await taker.take(
      counted(entries, (count) => {
        bytes += count
        progress({ bytes, total: found.size })
      }),
    )
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    archive?.destroy() // also where nobody began to read it
  }
  return { bytes, leftOut: leftOut.list() }
}

/** Tells how many bytes of files pass. */
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

/** Throws where a copy on this computer would read what it writes. */
async function refuseItself(from: Place, source: Source, target: Target): Promise<void> {
  if (!(await isSameHere(source, target))) return
  throw refuse(from, source.asFolder ? 'cannot be copied into itself' : 'is the same file')
}
