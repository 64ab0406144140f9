import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import { UserError } from '../errors.ts'

/** Writes the first disk of an OVA, which is a tar archive of a description and disks (DSP0243), to `file`. */
export async function unpackOva(ova: string, file: string, signal: AbortSignal): Promise<void> {
  const entries = createReadStream(ova).pipe(extract(), { end: true })
  let found = false
  for await (const entry of entries) {
    if (found || !/\.(?:vmdk|vhd|vdi|img|raw|qcow2)$/i.test(entry.header.name)) {
      entry.resume()
      continue
    }
    found = true
    await pipeline(entry, createWriteStream(file), { signal })
  }
  if (!found) {
    throw new UserError('usage', `there is no disk in ${ova}`, { hint: 'check the image' })
  }
}
