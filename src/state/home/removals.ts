import { createHash } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from '../../os/replace-file.ts'

/** A host that is being removed. */
export interface RemovedHost {
  /** Id of the inventory. */
  readonly fleet: string
  readonly machine: string
  readonly token: string
}

/**
 * Unfinished removals that this user started on this computer, stored in home. The host record in the inventory also
 * contains this state, but anyone who can push to the inventory's repository can write a record.
 */
export interface Removals {
  /** Records that a removal has started. Durable once it resolves. */
  begin(host: RemovedHost): Promise<void>
  hasStarted(host: RemovedHost): Promise<boolean>
  end(host: RemovedHost): Promise<void>
}

/** Opens the removals in `home`. */
export function openRemovals(home: string): Removals {
  const folder = join(home, 'removals')
  const fileFor = ({ fleet, machine, token }: RemovedHost): string => {
    const identity = JSON.stringify([fleet, machine, token])
    return childPath(folder, createHash('sha256').update(identity).digest('hex'))
  }
  return {
    async begin(host) {
      const file = fileFor(host)
      await preparePrivateFolder(home)
      await preparePrivateFolder(folder)
      try {
        await replaceFile(file, `${host.machine}\n`, { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
      }
    },
    hasStarted: (host) =>
      stat(fileFor(host)).then(
        () => true,
        () => false,
      ),
    end: (host) => rm(fileFor(host), { force: true }),
  }
}
