/** A part of a MIME message (RFC 2046). */
export interface Part {
  /** Header lines, such as `Content-Type: text/cloud-config`. */
  readonly headers: readonly string[]
  /** Bytes are encoded unless they are plain text. A string is never encoded, because it may itself be a message. */
  readonly body: string | Uint8Array
}

/** Whether every MIME reader returns the text unchanged. */
const isPlain = (text: string): boolean => /^[\t\n\x20-\x7e]*$/.test(text)

const inLines = (base64: string): string => base64.replaceAll(/.{76}/g, '$&\n')

function writePart({ headers, body }: Part): string {
  const text = typeof body === 'string' ? body : Buffer.from(body).toString('latin1')
  if (typeof body === 'string' || isPlain(text)) return `${headers.join('\n')}\n\n${text}`
  const encoded = [...headers, 'Content-Transfer-Encoding: base64']
  return `${encoded.join('\n')}\n\n${inLines(Buffer.from(body).toString('base64'))}`
}

/** Writes a multipart message. */
export function writeMultipart(parts: readonly Part[]): string {
  const written = parts.map(writePart)
  let boundary = 'fleet'
  while (written.some((part) => part.includes(`--${boundary}`))) boundary += '-part'
  return `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="${boundary}"

${written.map((part) => `--${boundary}\n${part}\n`).join('')}--${boundary}--
`
}
