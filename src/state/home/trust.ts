import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from './replace-file.ts'

/** A driver package whose code may run for one inventory, as long as it is the same code. */
export interface TrustedDriver {
  /** The real path of the inventory. */
  readonly inventory: string
  /** `fleet-driver-NAME`. */
  readonly package: string
  readonly version?: string | undefined
  /** Where the package was. */
  readonly folder: string
  /** Of all code of the package and of what it depends on. */
  readonly digest: string
}

/** An inventory of another user that is used all the same. */
export interface TrustedInventory {
  /** Its real path. */
  readonly inventory: string
  /** The user who owned it then. */
  readonly owner: number
}

/** A file or folder of this computer, outside the folder of an inventory, that hosts of the inventory may have. */
export interface AllowedPath {
  /** The real path of the inventory. */
  readonly inventory: string
  /** The real path of the file or folder. */
  readonly path: string
}

/** What one person trusts. */
export interface TrustRecords {
  readonly version: 1
  readonly drivers: readonly TrustedDriver[]
  readonly inventories: readonly TrustedInventory[]
  readonly paths: readonly AllowedPath[]
}

/** What a person trusts, kept in home: never in an inventory, which others write. */
export interface Trust {
  read(): Promise<TrustRecords>
  update(change: (before: TrustRecords) => TrustRecords): Promise<void>
  /** The folder, private once it is there, of the copies of trusted packages that are run. */
  readonly packages: string
}

const nothing: TrustRecords = { version: 1, drivers: [], inventories: [], paths: [] }

const isText = (value: unknown): value is string => typeof value === 'string'

/** Reads a file that this user alone may have written; undefined where there is none. */
async function readOwn(file: string): Promise<string | undefined> {
  const noFollow = process.platform === 'win32' ? 0 : constants.O_NOFOLLOW
  const handle = await open(file, constants.O_RDONLY | noFollow).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw explainDiskError(error, { kind: 'failed', doing: 'read', file })
  })
  if (handle === undefined) return undefined
  try {
    const { uid, mode } = await handle.stat()
    const isOurs = process.getuid === undefined || (uid === process.getuid() && !(mode & 0o022))
    if (isOurs) return await handle.readFile('utf8')
    throw new UserError('failed', `${file} is not used: another user may have written it`, {
      hint: 'remove it, or set FLEET_HOME to a folder of your own',
    })
  } finally {
    await handle.close()
  }
}

function parse(text: string, file: string): TrustRecords {
  try {
    const { version, drivers, inventories, paths = [] } = JSON.parse(text) as Partial<TrustRecords>
    if (version !== 1 || ![drivers, inventories, paths].every(Array.isArray)) {
      throw new Error('it has another format')
    }
    return {
      version,
      drivers: (drivers as readonly TrustedDriver[]).filter(
        (one) => isText(one?.inventory) && isText(one.package) && isText(one.digest),
      ),
      inventories: (inventories as readonly TrustedInventory[]).filter(
        (one) => isText(one?.inventory) && typeof one.owner === 'number',
      ),
      paths: paths.filter((one) => isText(one?.inventory) && isText(one.path)),
    }
  } catch (error) {
    throw new UserError('failed', `${file} cannot be read: ${messageOf(error)}`, {
      hint: 'remove it; after that, nothing is trusted until you run fleet trust again',
      cause: error,
    })
  }
}

/** Keeps it in `trust.json` of `home`. Throws kind `failed` where that cannot be read or written. */
export function openTrust(home: string): Trust {
  const file = join(home, 'trust.json')
  const read = async (): Promise<TrustRecords> => {
    const text = await readOwn(file)
    return text === undefined ? nothing : parse(text, file)
  }
  return {
    packages: join(home, 'packages'),
    read,
    async update(change) {
      await preparePrivateFolder(home)
      const { withLock } = await import('../../os/lock.ts')
      try {
        await withLock(file, async () => {
          const text = JSON.stringify(change(await read()), undefined, 2)
          await replaceFile(file, `${text}\n`, { mode: 0o600 })
        })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file })
      }
    },
  }
}
