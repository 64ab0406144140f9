import type { Readable } from 'node:stream'
import { UserError } from '../../errors.ts'
import type { HostFolder } from './remote-temp-dir.ts'
import { type Host, openInput, reasonOf, tar } from './remote-tar.ts'

/**
 * Unpacks an archive from this computer into a directory on a host, with modes, times and links. The files belong to
 * the login user, unless owners are kept, which requires root. `within`: a temporary directory that contains `folder`.
 * Rejects if the archive fails, and with kind `failed` and the host's error if the files cannot be written.
 */
export async function unpackOnHost(
  { name: machine, transport, become = [] }: Host,
  archive: Readable,
  folder: string,
  { keepOwners = false, within }: { keepOwners?: boolean; within?: HostFolder } = {},
): Promise<void> {
  archive.on('error', () => {}) // it may fail before it is read
  const untar = [...tar, keepOwners ? '-xpf' : '-xpof', '-', '-C', folder]
  const words = [...become, ...(within?.holdFor(untar, { keep: true }) ?? untar)]
  try {
    await using program = await openInput(transport, words)
    const { code, errorOutput } = await program.feed(archive)
    if (code !== 0) {
      throw new UserError('failed', `cannot write files to the host: ${reasonOf(errorOutput)}`, {
        machine,
      })
    }
  } finally {
    archive.destroy()
  }
}
