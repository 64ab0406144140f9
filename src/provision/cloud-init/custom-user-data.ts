import { gunzipSync } from 'node:zlib'
import { UserError } from '../../errors.ts'
import type { Part } from './multipart.ts'

/** The user's own user-data. */
export interface OwnUserData {
  /** The file name, for use in messages. */
  readonly file: string
  readonly content: Uint8Array
}

/**
 * The first lines that identify formats of user-data (cloud-init's documentation, "User-data
 * formats").
 */
const formats = [
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

/** Maximum size of decompressed user-data, in bytes. */
const maxBytes = 4 * 2 ** 20

/** Byte order marks and their encodings. */
const byteOrderMarks: readonly (readonly [mark: readonly number[], encoding: string])[] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
]

/**
 * Converts a text with a byte order mark to UTF-8 without the mark, because cloud-init identifies formats by their
 * first bytes.
 */
function withoutByteOrderMark(bytes: Buffer): Buffer {
  const [, encoding] =
    byteOrderMarks.find(([mark]) => mark.every((byte, at) => bytes[at] === byte)) ?? []
  return encoding === undefined ? bytes : Buffer.from(new TextDecoder(encoding).decode(bytes))
}

function unpack({ file, content }: OwnUserData): Buffer {
  if (content[0] !== 0x1f || content[1] !== 0x8b) return withoutByteOrderMark(Buffer.from(content))
  try {
    return withoutByteOrderMark(gunzipSync(content, { maxOutputLength: maxBytes }))
  } catch (error) {
    throw new UserError('usage', `${file} looks like gzip but cannot be decompressed`, {
      cause: error,
    })
  }
}

/** Whether cloud-init would treat a text as a MIME message. Excludes texts in other formats that only mention MIME. */
const isMessage = (text: string): boolean =>
  /^(?:From .*\r?\n)?[A-Za-z-]+:/.test(text) && /^mime-version:/im.test(text.slice(0, 4096))

/**
 * Returns the user's user-data as a part of a MIME message, with the headers that identify its format; user-data that
 * is a MIME message keeps its own headers. Throws kind `usage` for formats that cloud-init does not support.
 */
export function toPart(own: OwnUserData): Part {
  const bytes = unpack(own)
  const text = bytes.toString()
  if (isMessage(text)) {
    const [, headers = '', body = ''] =
      /^(?:From .*\r?\n)?((?:.+\r?\n)+)\r?\n([^]*)$/.exec(text) ?? []
    return { headers: headers.trim().split(/\r?\n/), body }
  }
  const start = text.trimStart().toLowerCase()
  if (!formats.some((beginning) => start.startsWith(beginning))) {
    throw new UserError('usage', `${own.file} is not user-data in a cloud-init format`, {
      hint: 'the first line must name the format: #cloud-config, #! or another cloud-init format',
    })
  }
  return { headers: ['Content-Type: text/plain; charset="utf-8"'], body: bytes }
}

/**
 * Returns the names under `users:` in the user-data if its value is a comma-separated string or null: formats that
 * cloud-init accepts but cannot merge. Returns `undefined` for a list, a mapping, or no users.
 */
export function usersInText(own: OwnUserData): readonly string[] | undefined {
  const lines = unpack(own).toString().split(/\r?\n/)
  const places = lines.flatMap((line, index) =>
    /^(["']?)users\1[ \t]*:/.test(line) ? [index] : [],
  )
  const [place] = places
  if (place === undefined || places.length > 1) return undefined
  const value = (lines[place] ?? '')
    .replace(/^["']?users["']?[ \t]*:/, '')
    .replace(/(?:^|[ \t])#.*$/, '')
    .trim()
  if (value === '') {
    const next = lines.slice(place + 1).find((line) => !/^\s*(?:#|$)/.test(line)) ?? ''
    return /^[-\s]/.test(next) ? undefined : []
  }
  if (/^(?:~|null)$/i.test(value)) return []
  if (/^[[{&*|>!]/.test(value)) return undefined
  return value
    .replace(/^(["'])(.*)\1$/, '$2')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** Whether user-data mentions a user. */
export const mentionsUser = (own: OwnUserData, user: string): boolean =>
  unpack(own)
    .toString()
    .match(/[\w-]+/g)
    ?.includes(user) ?? false
