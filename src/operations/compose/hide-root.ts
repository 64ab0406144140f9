import { Transform, type TransformCallback } from 'node:stream'
import { type Root, folderOfRoot } from './rooted-paths.ts'

/** Replaces paths below `root` with local paths in the output of Compose. */
export function hideRoot(root: Root, text: string): string {
  const below = text.replaceAll(root, '')
  const folder = folderOfRoot(root)
  if (folder === undefined) return below
  const [start = '', ...rest] = below.split(folder)
  return [start, ...rest.map((part) => part.replace(/^(?:\/up)+(?=\/)/, ''))].join('')
}

/** Like {@link hideRoot}, but for a stream. */
export function hideRootIn(root: Root): Transform {
  const pattern = Buffer.from(root)
  let kept = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      kept = Buffer.concat([kept, chunk])
      for (let at = kept.indexOf(pattern); at !== -1; at = kept.indexOf(pattern)) {
        this.push(kept.subarray(0, at))
        kept = kept.subarray(at + pattern.length)
      }
      const whole = kept.length - overlap(kept, pattern)
      this.push(kept.subarray(0, whole))
      kept = kept.subarray(whole)
      done()
    },
    flush(done) {
      this.push(kept)
      done()
    },
  })
}

/** The number of bytes at the end of `text` that may be the beginning of `pattern`. */
function overlap(text: Buffer, pattern: Buffer): number {
  for (let size = Math.min(text.length, pattern.length - 1); size > 0; size -= 1) {
    if (text.subarray(text.length - size).equals(pattern.subarray(0, size))) return size
  }
  return 0
}
