import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { below } from '../../os/below.ts'
import type { VBoxManage } from './vboxmanage.ts'

/** Where the driver keeps things on this computer. */
export interface Places {
  /** The ports that lead to machines. */
  readonly ports: string
  /** Disks that machines are clones of. */
  readonly bases: string
  /** What becomes such a disk. */
  readonly drafts: string
  readonly machines: string
  /** The disk that all machines share that start from one image and have disks of one size, in GiB. */
  baseOf(digest: string, size: number): Base
  machine(token: string): MachinePlaces
}

/** A disk that machines are clones of, and the machine that holds it in VirtualBox. */
export interface Base {
  readonly disk: string
  readonly holder: string
}

/** Where the parts of one machine are. */
interface MachinePlaces {
  readonly folder: string
  /** Written before anything else: whose this is. */
  readonly note: string
  readonly disk: string
  readonly seed: string
}

/** VirtualBox, and where the driver keeps things. */
export interface Env {
  readonly vbox: VBoxManage
  readonly places: Places
}

/** The places below the driver's folder. */
export const placesIn = (folder: string): Places => {
  const [bases, machines] = [join(folder, 'bases'), join(folder, 'machines')]
  return {
    ports: join(folder, 'ports.json'),
    bases,
    drafts: join(bases, 'drafts'),
    machines,
    baseOf: (digest, size) => {
      const hash = createHash('sha256').update(`${folder} ${digest} ${size}`).digest('hex')
      const holder = hash.replace(
        /^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/,
        '$1-$2-4$3-8$4-$5', // a random UUID in form (RFC 9562, 5.4)
      )
      return { disk: join(bases, `${holder}.vdi`), holder }
    },
    machine: (token) => {
      const own = below(machines, token)
      return {
        folder: own,
        note: join(own, 'fleet.json'),
        disk: join(own, 'disk.vdi'),
        seed: join(own, 'seed.iso'),
      }
    },
  }
}
