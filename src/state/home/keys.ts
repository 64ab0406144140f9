import { createHash, randomBytes } from 'node:crypto'
import { readFile, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { basename, join, resolve, sep } from 'node:path'
import { below } from '../../os/below.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { removeWithLeftovers, replaceFile } from './replace-file.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** Whom a login is for. */
interface LoginPlace {
  readonly address: string
  readonly port: number
  readonly user: string
}

/** What this person's ssh configuration says of a login, which names of hosts there lead to and an address does not. */
export interface LoginOptions {
  /** The agent that is not that of SSH_AUTH_SOCK: a path, `none`, or `$NAME` of a variable. */
  readonly agent?: string | undefined
  readonly certificateFiles?: readonly string[] | undefined
}

/** The private keys in home, by fingerprint, and how logins go that need more than a key. */
export interface Keys {
  /** What was remembered of a login. */
  findLogin(place: LoginPlace): Promise<LoginOptions>
  /** Remembers how a login goes; in place of what was remembered of it. */
  rememberLogin(place: LoginPlace, options: LoginOptions): Promise<void>
  /**
   * The file of the private key with this `SHA256:…` fingerprint, if home knows it. It may be gone since:
   * who tries it says so.
   */
  find(fingerprint: string): Promise<string | undefined>
  /** Remembers that the private key of this fingerprint is in `file`, which stays where it is. */
  remember(fingerprint: string, file: string): Promise<void>
  /** Keeps a private key that fleet made. Durable once resolved. */
  keep(fingerprint: string, privateKey: string): Promise<void>
  /** Forgets a key. One that fleet made is gone then; a person's own file stays where it is. */
  forget(fingerprint: string): Promise<void>
}

/** A SHA-256 fingerprint as OpenSSH shows it: base64 without padding. */
const fingerprintPattern = /^SHA256:[A-Za-z0-9+/]{43}$/

/** In hexadecimal: base64 has `/`, and tells small letters from capitals as some disks do not. */
function fileNameFor(fingerprint: string): string {
  if (!fingerprintPattern.test(fingerprint)) throw new TypeError('not a SHA256 fingerprint')
  return Buffer.from(fingerprint.slice('SHA256:'.length), 'base64').toString('hex')
}

/**
 * The keys in `home`, in the folder `keys`: those that fleet made, and symbolic links to the person's own key files.
 * A person's key is not copied, so that one replaced or taken away where it belongs is so for fleet too.
 */
export function openKeys(home: string): Keys {
  const folder = join(home, 'keys')
  const prepare = async (): Promise<void> => {
    await preparePrivateFolder(home)
    await preparePrivateFolder(folder)
  }
  const logins = join(home, 'logins')
  const loginFile = ({ user, address, port }: LoginPlace): string => {
    const digest = createHash('sha256').update(JSON.stringify([user, address, port]))
    return join(logins, `${digest.digest('hex')}.json`)
  }
  return {
    async findLogin(place) {
      const text = await readFile(loginFile(place), 'utf8').catch(
        ignored('state', 'read how to log in', '{}'),
      )
      try {
        return JSON.parse(text) as LoginOptions
      } catch (error) {
        traceError('state', 'read how to log in', error)
        return {}
      }
    },
    async rememberLogin(place, { agent, certificateFiles = [] }) {
      const file = loginFile(place)
      if (agent === undefined && certificateFiles.length === 0) return rm(file, { force: true })
      await preparePrivateFolder(home)
      await preparePrivateFolder(logins)
      try {
        await replaceFile(file, JSON.stringify({ agent, certificateFiles }), { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file })
      }
    },
    async find(fingerprint) {
      const link = below(folder, fileNameFor(fingerprint))
      return realpath(link).catch(() => readlink(link).catch(() => undefined))
    },
    remember: async (fingerprint, file) => {
      const link = below(folder, fileNameFor(fingerprint))
      const own = await realpath(file).catch(ignored('state', 'resolve the key'))
      if (own === (await realpath(folder).catch(() => folder)) + sep + basename(link)) return
      const fresh = `${link}.${randomBytes(6).toString('hex')}`
      await prepare()
      try {
        await symlink(resolve(file), fresh)
        await rename(fresh, link)
      } catch (error) {
        await rm(fresh, { force: true })
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file: link })
      }
    },
    keep: async (fingerprint, privateKey) => {
      const file = below(folder, fileNameFor(fingerprint))
      await prepare()
      try {
        await replaceFile(file, privateKey, { mode: 0o600 })
      } catch (error) {
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file })
      }
    },
    forget: (fingerprint) => removeWithLeftovers(below(folder, fileNameFor(fingerprint))),
  }
}
