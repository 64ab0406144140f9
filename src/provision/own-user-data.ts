import { gunzipSync } from 'node:zlib'
import { UserError } from '../errors.ts'
import type { Part } from './multipart.ts'

/** A person's own user-data. */
export interface OwnUserData {
  /** What messages call it: the file. */
  readonly file: string
  readonly content: Uint8Array
}

/** What cloud-init tells the kinds of user-data apart by (its documentation, "User-data formats"). */
const beginnings = [
  '#!',
  '#cloud-boothook',
  '#cloud-config',
  '#cloud-config-archive',
  '#cloud-config-jsonp',
  '#include',
  '#include-once',
  '#part-handler',
  '## template: jinja',
]

/** Unpacked, user-data larger than this is no user-data. */
const mostBytes = 4 * 2 ** 20

function unpack({ file, content }: OwnUserData): Buffer {
  if (content[0] !== 0x1f || content[1] !== 0x8b) return Buffer.from(content)
  try {
    return gunzipSync(content, { maxOutputLength: mostBytes })
  } catch (error) {
    throw new UserError('usage', `${file} looks gzip'd and cannot be unpacked`, { cause: error })
  }
}

/** cloud-init's own test, less the texts of another kind that only speak of it. */
const isMessage = (text: string): boolean =>
  /^(?:From .*\r?\n)?[A-Za-z-]+:/.test(text) && /^mime-version:/im.test(text.slice(0, 4096))

/**
 * The person's user-data as part of a message: of the kind that it is, or the message that it is already.
 * Throws kind `usage` for what cloud-init would not understand.
 */
export function partOf(own: OwnUserData): Part {
  const bytes = unpack(own)
  const text = bytes.toString()
  if (isMessage(text)) {
    const [, headers = '', body = ''] =
      /^(?:From .*\r?\n)?((?:.+\r?\n)+)\r?\n([^]*)$/.exec(text) ?? []
    return { headers: headers.trim().split(/\r?\n/), body }
  }
  const start = text.trimStart().toLowerCase()
  if (!beginnings.some((beginning) => start.startsWith(beginning))) {
    throw new UserError('usage', `${own.file} is no user-data that cloud-init knows`, {
      hint: 'its first line must say what it is: #cloud-config, #! or another one of cloud-init',
    })
  }
  return { headers: ['Content-Type: text/plain; charset="utf-8"'], body: bytes }
}
