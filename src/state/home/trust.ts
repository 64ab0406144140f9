import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from '../../os/replace-file.ts'

/** A driver package whose code may run for one inventory until the code changes. */
export interface TrustedDriver {
  /** Real path of the inventory. */
  readonly inventory: string
  /** `fleet-driver-NAME`. */
  readonly package: string
  readonly version?: string | undefined
  /** Directory of the package. */
  readonly folder: string
  /** Digest of all code of the package and its dependencies. */
  readonly digest: string
}

/** A trusted inventory of another user. */
export interface TrustedInventory {
  /** Real path of the inventory. */
  readonly inventory: string
  /** User id of the owner when the inventory was trusted. */
  readonly owner: number
}

/** A file or directory on this computer, outside the inventory's directory, that the inventory's hosts can use. */
export interface AllowedPath {
  /** Real path of the inventory. */
  readonly inventory: string
  /** Real path of the file or directory. */
  readonly path: string
}

/** A host alias in the user's SSH configuration that fleet may use to connect to machines of an inventory. */
export interface TrustedAlias {
  /** Real path of the inventory. */
  readonly inventory: string
  /** The alias as written in the machine's record: `[user@]host[:port]`. */
  readonly alias: string
}

/** An environment variable of the user, whose value a stack may pass to hosts of an inventory. */
export interface AllowedVariable {
  /** Real path of the inventory. */
  readonly inventory: string
  readonly stack: string
  /** The name of the variable. */
  readonly variable: string
}

/** Everything that the user trusts. */
export interface TrustRecords {
  readonly version: 1
  readonly drivers: readonly TrustedDriver[]
  readonly inventories: readonly TrustedInventory[]
  readonly paths: readonly AllowedPath[]
  readonly aliases: readonly TrustedAlias[]
  readonly variables: readonly AllowedVariable[]
}

/** The trust records of a user, stored in home and never in an inventory, which other users can write. */
export interface Trust {
  read(): Promise<TrustRecords>
  update(change: (before: TrustRecords) => TrustRecords): Promise<void>
  /**
   * The private directory with copies of trusted packages; the packages are run from these copies. It may not exist
   * yet.
   */
  readonly packages: string
}

const nothing: TrustRecords = {
  ...{ version: 1, drivers: [], inventories: [] },
  ...{ paths: [], aliases: [], variables: [] },
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** Reads a file that only this user could have written; `undefined` if it does not exist. */
async function readOwnFile(file: string): Promise<string | undefined> {
  const noFollow = process.platform === 'win32' ? 0 : constants.O_NOFOLLOW
  const handle = await open(file, constants.O_RDONLY | noFollow).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw explainDiskError(error, { kind: 'failed', operation: 'read', file })
  })
  if (handle === undefined) return undefined
  try {
    const { uid, mode } = await handle.stat()
    const isOwn = process.getuid === undefined || (uid === process.getuid() && !(mode & 0o022))
    if (isOwn) return await handle.readFile('utf8')
    throw new UserError('failed', `${file} is not used: another user may have changed the file`, {
      hint: 'remove the file, or set FLEET_HOME to a directory that you own',
    })
  } finally {
    await handle.close()
  }
}

function parse(text: string, file: string): TrustRecords {
  try {
    const records = JSON.parse(text) as Partial<TrustRecords>
    const { version, drivers, inventories, paths = [], aliases = [], variables = [] } = records
    const lists = [drivers, inventories, paths, aliases, variables]
    if (version !== 1 || !lists.every(Array.isArray)) {
      throw new Error('unknown format')
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
      aliases: aliases.filter((one) => isText(one?.inventory) && isText(one.alias)),
      variables: variables.filter(
        (one) => isText(one?.inventory) && isText(one.stack) && isText(one.variable),
      ),
    }
  } catch (error) {
    throw new UserError('failed', `${file} cannot be read: ${messageOf(error)}`, {
      hint: 'remove the file; nothing will be trusted until you run fleet trust again',
      cause: error,
    })
  }
}

/** Opens `trust.json` in `home`. Throws kind `failed` if it cannot be read or written. */
export function openTrust(home: string): Trust {
  const file = join(home, 'trust.json')
  const read = async (): Promise<TrustRecords> => {
    const text = await readOwnFile(file)
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
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
      }
    },
  }
}
