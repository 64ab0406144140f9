import { createHash } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { below } from '../../os/below.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from './replace-file.ts'

/** A host of a machine that is being removed. */
export interface LeavingHost {
  /** The inventory's id. */
  readonly fleet: string
  readonly machine: string
  readonly token: string
}

/**
 * The removals that this person began on this computer and that have not come to their end, kept in home. A record says too that
 * its host is being removed, but anybody can write that who can push to the inventory's repository.
 */
export interface Removals {
  /** Durable once resolved. */
  begin(host: LeavingHost): Promise<void>
  hasBegun(host: LeavingHost): Promise<boolean>
  end(host: LeavingHost): Promise<void>
}

/** The removals that `home` knows of. */
export function openRemovals(home: string): Removals {
  const folder = join(home, 'removals')
  const fileFor = ({ fleet, machine, token }: LeavingHost): string => {
    const identity = JSON.stringify([fleet, machine, token])
    return below(folder, createHash('sha256').update(identity).digest('hex'))
  }
  return {
    async begin(host) {
      const file = fileFor(host)
      await preparePrivateFolder(home)
      await preparePrivateFolder(folder)
      try {
        await replaceFile(file, `${host.machine}\n`, { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file })
      }
    },
    hasBegun: (host) =>
      stat(fileFor(host)).then(
        () => true,
        () => false,
      ),
    end: (host) => rm(fileFor(host), { force: true }),
  }
}
