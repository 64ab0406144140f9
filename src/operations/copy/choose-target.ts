import { UserError } from '../../errors.ts'
import type { Found, FoundTarget, Target } from './endpoint.ts'
import type { CopyPath } from './remote-path.ts'

/** A path as the user types it: `MACHINE:PATH`, or just `PATH` for this computer. */
const shown = ({ machine, path }: CopyPath): string =>
  machine === undefined ? path : `${machine.name}:${path}`

export const refuse = (place: CopyPath, what: string): UserError =>
  new UserError('failed', `${shown(place)} ${what}`, { machine: place.machine?.name })

export const endsAsFolder = (path: string): boolean => path.endsWith('/')

/**
 * Decides where and how a copy called `name` is written. `isLink`: whether the copy is a symbolic link. Throws kind
 * `failed` for an invalid target.
 */
export function chooseTarget(
  place: CopyPath,
  found: FoundTarget,
  { name, asFolder, isLink }: { name: string; asFolder: boolean; isLink: boolean },
): Target {
  const { path } = place
  if (found.kind !== 'folder') {
    if (endsAsFolder(path)) throw refuse(place, 'is not a directory')
    if (found.isLink && found.kind === 'absent' && !isLink) {
      throw refuse(place, 'is a broken link')
    }
    if (found.kind === 'absent') return { path, how: 'place' }
    if (asFolder) throw refuse(place, `already exists and is a ${nounOf(found)}`)
    if (!isLink) return { path, how: 'write' }
    if (found.kind === 'other')
      throw refuse(place, 'already exists and is a device, FIFO or socket')
    return { path, how: 'place' }
  }
  const inside = { ...place, path: path === '' ? name : `${path.replace(/\/+$/, '')}/${name}` }
  const there: Found = found.inside ?? { kind: 'absent', isLink: false }
  const target = (how: Target['how']): Target => ({ path: inside.path, how })
  if (there.kind === 'absent' && !there.isLink) return target('place')
  if (there.kind === 'folder') {
    if (asFolder && !there.isLink) return target('merge')
    throw refuse(
      inside,
      `already exists and is a ${there.isLink ? 'link to a directory' : 'directory'}`,
    )
  }
  if (asFolder) throw refuse(inside, `already exists and is a ${nounOf(there)}`)
  // Replace a link that the user did not name: it may come from an earlier copy from an untrusted host.
  if (there.isLink || (isLink && there.kind === 'file')) return target('place')
  if (isLink) throw refuse(inside, 'already exists and is a device, FIFO or socket')
  return target('write')
}

const nounOf = ({ kind, isLink }: Found): string =>
  isLink ? 'link' : kind === 'file' ? 'file' : 'device, FIFO or socket'
