import { randomBytes } from 'node:crypto'
import { readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'

/** The private keys in home, by fingerprint. */
export interface Keys {
  /**
   * The file of the private key with this `SHA256:…` fingerprint, if home knows it. It may be gone since:
   * who tries it says so.
   */
  find(fingerprint: string): Promise<string | undefined>
  /** Remembers that the private key of this fingerprint is in `file`, which stays where it is. */
  remember(fingerprint: string, file: string): Promise<void>
}

/** A SHA-256 fingerprint as OpenSSH shows it: base64 without padding. */
const fingerprintPattern = /^SHA256:[A-Za-z0-9+/]{43}$/

/** In hexadecimal: base64 has `/`, and tells small letters from capitals as some disks do not. */
function fileNameFor(fingerprint: string): string {
  if (!fingerprintPattern.test(fingerprint)) throw new TypeError('not a SHA256 fingerprint')
  return Buffer.from(fingerprint.slice('SHA256:'.length), 'base64').toString('hex')
}

/**
 * The keys in `home`: the folder `keys` of symbolic links to the person's own key files. Nothing is copied,
 * so a key that is replaced or taken away where it belongs is so for fleet too.
 */
export function openKeys(home: string): Keys {
  const folder = join(home, 'keys')
  return {
    async find(fingerprint) {
      const link = join(folder, fileNameFor(fingerprint))
      return realpath(link).catch(() => readlink(link).catch(() => undefined))
    },
    remember: async (fingerprint, file) => {
      const link = join(folder, fileNameFor(fingerprint))
      const fresh = `${link}.${randomBytes(6).toString('hex')}`
      await preparePrivateFolder(home)
      await preparePrivateFolder(folder)
      try {
        await symlink(resolve(file), fresh)
        await rename(fresh, link)
      } catch (error) {
        await rm(fresh, { force: true })
        throw explainDiskError(error, { kind: 'failed', doing: 'write', file: link })
      }
    },
  }
}
