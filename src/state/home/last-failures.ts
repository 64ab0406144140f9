import { createHash } from 'node:crypto'
import { readFile, realpath, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** The machines on which the last command for several machines failed, stored in home. */
export interface LastFailures {
  read(): Promise<readonly string[]>
  /** Never rejects: an error only means that `read` returns nothing. */
  keep(machines: readonly string[]): Promise<void>
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** Opens the file in `home` for the inventory at `inventoryPath`. */
export function openLastFailures(home: string, inventoryPath: string): LastFailures {
  const folder = join(home, 'failures')
  const locate = async (): Promise<string> => {
    const path = await realpath(inventoryPath).catch(
      ignored('state', 'resolve the inventory path', resolve(inventoryPath)),
    )
    return join(folder, `${createHash('sha256').update(path).digest('hex')}.json`)
  }
  return {
    async read() {
      try {
        const machines: unknown = JSON.parse(await readFile(await locate(), 'utf8'))
        return Array.isArray(machines) ? machines.filter(isText) : []
      } catch (error) {
        traceError('state', 'read the list of failed machines', error)
        return []
      }
    },
    async keep(machines) {
      try {
        const file = await locate()
        if (machines.length === 0) return await rm(file, { force: true })
        await preparePrivateFolder(folder)
        await replaceFile(file, `${JSON.stringify(machines)}\n`, { mode: 0o600 })
      } catch (error) {
        traceError('state', 'write the list of failed machines', error)
        // The result of the command does not depend on this file.
      }
    },
  }
}
