import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../errors.ts'

/** Reads a tar archive entry by entry; a content is there until the next entry is asked for. */
export type ReadTar = (source: AsyncIterable<Buffer>) => AsyncIterable<{
  readonly entry: { readonly name: string; readonly type: string }
  readonly content: AsyncIterable<Buffer>
}>

/** Writes the first disk of an OVA, which is a tar archive of a description and disks (DSP0243), to `file`. */
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
  throw new UserError('usage', `there is no disk in ${ova}`, { hint: 'check the image' })
}
