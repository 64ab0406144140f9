import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../errors.ts'

/** Reads the entries of a tar archive. An entry's content is available until the next entry is requested. */
export type ReadTar = (source: AsyncIterable<Buffer>) => AsyncIterable<{
  readonly entry: { readonly name: string; readonly type: string }
  readonly content: AsyncIterable<Buffer>
}>

/** Extracts the first disk of an OVA, a tar archive that contains a description and disks (DSP0243), to `file`. */
export async function unpackOva(
  ova: string,
  file: string,
  { readTar, signal }: { readonly readTar: ReadTar; readonly signal: AbortSignal },
): Promise<void> {
  for await (const { entry, content } of readTar(createReadStream(ova, { signal }))) {
    if (entry.type !== 'file' || !/\.(?:vmdk|vhd|vdi|img|raw|qcow2)$/i.test(entry.name)) continue
    await pipeline(content, createWriteStream(file), { signal })
    return
  }
  throw new UserError('usage', `${ova} contains no disk`, { hint: 'check the image' })
}
