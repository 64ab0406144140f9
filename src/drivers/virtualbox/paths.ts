import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import type { VBoxManage } from './vboxmanage.ts'

/** Paths in the driver's directory. */
export interface Paths {
  /** The file that records the machines' forwarded ports. */
  readonly ports: string
  /** The directory of base disks, whose clones serve as the machines' disks. */
  readonly bases: string
  /** The directory of base disks that are being created. */
  readonly drafts: string
  readonly machines: string
  /** Returns the base disk for an image and a size in GiB. Machines share the base disk. */
  baseOf(digest: string, size: number): Base
  machine(token: string): MachinePaths
}

/** A base disk, and the ID of the machine that owns it in VirtualBox. */
export interface Base {
  readonly disk: string
  readonly owner: string
}

/** Paths of the files of one machine. */
interface MachinePaths {
  readonly folder: string
  /** The metadata file with the tags, written before anything else. */
  readonly metadata: string
  readonly disk: string
  readonly seed: string
}

/** The dependencies that the modules of the driver share. */
export interface Env {
  readonly vbox: VBoxManage
  readonly paths: Paths
}

/** Returns the paths in the driver's directory. */
export const pathsIn = (folder: string): Paths => {
  const [bases, machines] = [join(folder, 'bases'), join(folder, 'machines')]
  return {
    ports: join(folder, 'ports.json'),
    bases,
    drafts: join(bases, 'drafts'),
    machines,
    baseOf: (digest, size) => {
      const hash = createHash('sha256').update(`${folder} ${digest} ${size}`).digest('hex')
      const owner = hash.replace(
        /^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/,
        '$1-$2-4$3-8$4-$5', // in the form of a random UUID (RFC 9562, 5.4)
      )
      return { disk: join(bases, `${owner}.vdi`), owner }
    },
    machine: (token) => {
      const own = childPath(machines, token)
      return {
        folder: own,
        metadata: join(own, 'fleet.json'),
        disk: join(own, 'disk.vdi'),
        seed: join(own, 'seed.iso'),
      }
    },
  }
}
