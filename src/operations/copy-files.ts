import { Readable, addAbortSignal } from 'node:stream'
import { UserError } from '../errors.ts'
import type { Context } from './context.ts'
import { here } from './copy-here.ts'
import { countArchived } from './count-archived.ts'
import type { Found, Side } from './copy-side.ts'
import { openSideThere } from './copy-there.ts'
import type { Place } from './place.ts'

/** A path with the machine it is on, as a person types it. */
const shown = ({ machine, path }: Place): string =>
  machine === undefined ? path : `${machine.name}:${path}`

const refuse = (place: Place, what: string): UserError =>
  new UserError('failed', `${shown(place)} ${what}`, { machine: place.machine?.name })

/** One end of a copy; `apart`, over a connection of its own. */
async function openSide(context: Context, { machine }: Place, apart = false): Promise<Side> {
  if (machine === undefined) return here
  const transport = await (apart ? context.connectApart(machine) : context.connect(machine))
  return openSideThere({ name: machine.name, transport })
}

/** What is copied: the entry `name` of `folder`, under the name `as`. */
interface Source {
  readonly folder: string
  readonly name: string
  readonly as: string
  readonly isFolder: boolean
  readonly isLong: boolean
}

const endsAsFolder = (path: string): boolean => path.endsWith('/')

async function findSource(side: Side, place: Place): Promise<Source> {
  const { sort, folder, name, real, isLong } = await side.look(place.path)
  const asFolder = endsAsFolder(place.path)
  if (sort === 'absent') throw refuse(place, 'is not there')
  if (sort === 'file' && asFolder) throw refuse(place, 'is not a folder')
  if (name === '') throw refuse(place, 'is the root of all files: name a folder below it')
  if (sort !== 'link to a folder' || !asFolder || real === undefined) {
    return { folder, name, as: name, isFolder: sort === 'folder', isLong }
  }
  const slash = real.lastIndexOf('/') // the link leads there: it is followed
  return {
    folder: real.slice(0, slash) || '/',
    name: real.slice(slash + 1),
    as: name,
    isFolder: true,
    isLong,
  }
}

/** Where the copy goes. */
interface Target {
  readonly folder: string
  readonly name: string
  readonly how: 'move' | 'merge'
}

const joined = (folder: string, name: string): string => `${folder.replace(/\/$/, '')}/${name}`

async function findTarget(side: Side, place: Place, source: Source): Promise<Target> {
  const found = await side.look(place.path)
  if (found.real === undefined) {
    if (endsAsFolder(place.path)) throw refuse(place, 'is not a folder')
    return fit(found, place, source)
  }
  const inside = { ...place, path: joined(found.real, source.as) }
  return fit(await side.look(inside.path), inside, source)
}

/** Whether what is copied may take the place of what is there. */
function fit({ sort, folder, name }: Found, place: Place, source: Source): Target {
  if (sort === 'absent') return { folder, name, how: 'move' }
  if (sort === 'file' && !source.isFolder) return { folder, name, how: 'move' }
  if (sort === 'folder' && source.isFolder) return { folder, name, how: 'merge' }
  throw refuse(place, `is a ${sort} already`)
}

/** Tells how many bytes of files have passed. */
async function* count(
  archive: Readable,
  progress: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  const countFiles = countArchived()
  for await (const chunk of archive) {
    progress(countFiles(chunk as Buffer))
    yield chunk as Buffer
  }
}

/**
 * Copies a file or a folder between two machines, or between a machine and this computer, as
 * `cp -R` would: into a folder that exists, under the source's name; else to the name given,
 * which must be a folder's when it ends in `/`. Modes, times and symbolic links are kept; the
 * copies are the user's there. A folder is merged into one of its name.
 *
 * Files wait in a hidden folder beside the target until all have arrived: a copy that fails or is
 * interrupted leaves nothing under the target's name. `progress` is told how many bytes of files were sent so far.
 */
export async function copyFiles(
  context: Context,
  from: Place,
  to: Place,
  progress: (bytes: number) => void,
): Promise<void> {
  const { signal } = context
  const [origin, end] = await Promise.all([openSide(context, from), openSide(context, to)])
  const source = await findSource(origin, from)
  const target = await findTarget(end, to, source)
  const whole = joined(source.folder, source.name)
  const isSame = origin.machine === end.machine && source.isFolder
  if (isSame && `${target.folder}/`.startsWith(`${whole}/`)) {
    throw refuse(from, 'cannot be copied into itself')
  }
  const [sender, receiver] = source.isLong
    ? await Promise.all([openSide(context, from, true), openSide(context, to, true)])
    : [origin, end]
  await using landing = await receiver.land(target.folder)
  const archive = Readable.from(count(sender.read(source.folder, source.name), progress))
  try {
    await landing.fill(addAbortSignal(signal, archive))
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
  await landing.settle(source.name, joined(target.folder, target.name), target.how)
}
