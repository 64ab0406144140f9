import { resolve } from 'node:path'
import { UserError } from '../errors.ts'
import { nearest } from '../machine/nearest-name.ts'
import type { Architecture, Catalogue, PublishedImage } from './named-images.ts'

/** A parsed image reference. */
export type ImageSource =
  | { readonly kind: 'named'; readonly name: string; readonly published: PublishedImage }
  | { readonly kind: 'url'; readonly url: string; readonly sha256: string | undefined }
  | { readonly kind: 'file'; readonly path: string; readonly sha256: string | undefined }

const usage = (message: string, hint: string): UserError =>
  new UserError('usage', message, { hint })

/** Splits `#sha256=…` off an image reference. Throws kind `usage` for any other fragment. */
function splitChecksum(text: string): { readonly rest: string; readonly sha256?: string } {
  const [, rest = '', checksum] = /^([^#]*)#(.*)$/.exec(text) ?? []
  if (checksum === undefined) return { rest: text }
  const [, sha256] = /^sha256=([0-9a-fA-F]{64})$/.exec(checksum) ?? []
  if (sha256 !== undefined) return { rest, sha256: sha256.toLowerCase() }
  throw usage(
    `${text}: expected #sha256= followed by 64 hexadecimal digits`,
    'to compute the checksum: sha256sum FILE',
  )
}

const looksLikePath = (text: string): boolean =>
  /[/\\]|\.(?:raw|img|qcow2|vmdk|vdi|ova)$/i.test(text)

/**
 * Parses `NAME|PATH|URL[#sha256=…]`. Relative paths are resolved against `folder`. Throws kind `usage` for anything
 * else.
 */
export function parseImage(
  text: string,
  arch: Architecture,
  { catalogue, folder }: { readonly catalogue: Catalogue; readonly folder: string },
): ImageSource {
  const published = catalogue[text]?.(arch)
  if (published !== undefined) return { kind: 'named', name: text, published }
  const { rest, sha256 } = splitChecksum(text)
  if (/^https?:\/\//i.test(rest)) {
    if (!URL.canParse(rest)) throw usage(`${rest} is not a valid URL`, 'check the image URL')
    if (/^http:/i.test(rest) && sha256 === undefined) {
      throw usage(
        `${rest} would be downloaded without encryption, so the image could be replaced in transit`,
        `add its checksum (${rest}#sha256=…), or use https`,
      )
    }
    return { kind: 'url', url: rest, sha256 }
  }
  if (looksLikePath(rest)) return { kind: 'file', path: resolve(folder, rest), sha256 }
  const names = Object.keys(catalogue)
  const near = nearest(text, names)
  throw usage(
    `unknown image ${JSON.stringify(text)}`,
    near === undefined ? `use ${names.join(', ')}, a path or a URL` : `did you mean ${near}?`,
  )
}
