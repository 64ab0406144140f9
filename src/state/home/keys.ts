import { createHash, randomBytes } from 'node:crypto'
import { readFile, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { basename, join, resolve, sep } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { removeWithLeftovers, replaceFile } from '../../os/replace-file.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** The address, port and account of a login. */
interface LoginTarget {
  readonly address: string
  readonly port: number
  readonly user: string
}

/**
 * Login options that the user's SSH configuration sets for a host alias, but not for the host's
 * address.
 */
interface LoginOptions {
  /**
   * The agent, if it is not the one in SSH_AUTH_SOCK: the path of its socket, `none`, or `$NAME` for a variable that
   * contains the path.
   */
  readonly agent?: string | undefined
  readonly certificateFiles?: readonly string[] | undefined
}

/** Private keys in home, keyed by fingerprint, and additional login options. */
export interface Keys {
  /** Returns the stored options of a login. */
  findLogin(target: LoginTarget): Promise<LoginOptions>
  /** Stores the options of a login. */
  rememberLogin(target: LoginTarget, options: LoginOptions): Promise<void>
  /**
   * The file of the private key with this `SHA256:…` fingerprint, if it is stored in home. The file may no longer
   * exist.
   */
  find(fingerprint: string): Promise<string | undefined>
  /** Records that the key with this fingerprint is in `file`, without copying it. */
  remember(fingerprint: string, file: string): Promise<void>
  /** Stores a private key that fleet generated. Durable once it resolves. */
  keep(fingerprint: string, privateKey: string): Promise<void>
  /** Removes a key. A key that fleet generated is deleted; the user's own file is kept. */
  forget(fingerprint: string): Promise<void>
}

/** A SHA-256 fingerprint in OpenSSH's format: base64 without padding. */
const fingerprintPattern = /^SHA256:[A-Za-z0-9+/]{43}$/

/** The name of a key's file: hexadecimal, because base64 contains `/` and needs a case-sensitive file system. */
function fileNameFor(fingerprint: string): string {
  if (!fingerprintPattern.test(fingerprint)) throw new TypeError('not a SHA256 fingerprint')
  return Buffer.from(fingerprint.slice('SHA256:'.length), 'base64').toString('hex')
}

/**
 * Opens the directory `keys` in `home`: keys that fleet generated, and symbolic links to the user's
 * own key files. The user's keys are not copied, so that fleet notices when they are replaced or
 * deleted.
 */
export function openKeys(home: string): Keys {
  const folder = join(home, 'keys')
  const prepare = async (): Promise<void> => {
    await preparePrivateFolder(home)
    await preparePrivateFolder(folder)
  }
  const logins = join(home, 'logins')
  const loginFile = ({ user, address, port }: LoginTarget): string => {
    const digest = createHash('sha256').update(JSON.stringify([user, address, port]))
    return join(logins, `${digest.digest('hex')}.json`)
  }
  return {
    async findLogin(target) {
      const text = await readFile(loginFile(target), 'utf8').catch(
        ignored('state', 'read the login settings', '{}'),
      )
      try {
        return JSON.parse(text) as LoginOptions
      } catch (error) {
        traceError('state', 'read the login settings', error)
        return {}
      }
    },
    async rememberLogin(target, { agent, certificateFiles = [] }) {
      const file = loginFile(target)
      if (agent === undefined && certificateFiles.length === 0) return rm(file, { force: true })
      await preparePrivateFolder(home)
      await preparePrivateFolder(logins)
      try {
        await replaceFile(file, JSON.stringify({ agent, certificateFiles }), { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
      }
    },
    async find(fingerprint) {
      const link = childPath(folder, fileNameFor(fingerprint))
      return realpath(link).catch(() => readlink(link).catch(() => undefined))
    },
    remember: async (fingerprint, file) => {
      const link = childPath(folder, fileNameFor(fingerprint))
      const realFile = await realpath(file).catch(ignored('state', 'resolve the key file path'))
      if (realFile === (await realpath(folder).catch(() => folder)) + sep + basename(link)) return
      const temporary = `${link}.${randomBytes(6).toString('hex')}`
      await prepare()
      try {
        await symlink(resolve(file), temporary)
        await rename(temporary, link)
      } catch (error) {
        await rm(temporary, { force: true })
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file: link })
      }
    },
    keep: async (fingerprint, privateKey) => {
      const file = childPath(folder, fileNameFor(fingerprint))
      await prepare()
      try {
        await replaceFile(file, privateKey, { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
      }
    },
    forget: (fingerprint) => removeWithLeftovers(childPath(folder, fileNameFor(fingerprint))),
  }
}
