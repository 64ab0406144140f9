/** Parses the lines `key="value"` in `--machinereadable` output, and ignores other lines. */
export function parseFields(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const [, key, quoted, bare] = /^"?([^"=]+?)"?=(?:"(.*)"|([^"]*))$/.exec(line) ?? []
    if (key !== undefined) fields.set(key, quoted ?? bare ?? '')
  }
  return fields
}

/** Returns the IDs in the output of `list vms`, `"name" {id}`. */
export const parseIds = (text: string): readonly string[] =>
  [...text.matchAll(/^".*" \{([0-9a-f-]{36})\}\r?$/gim)].map(([, id = '']) => id.toLowerCase())

/** Parses the output of `getextradata ID enumerate`, `Key: KEY, Value: VALUE`. */
export const parseExtraData = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...text.matchAll(/^Key: (.+?), Value: (.*?)\r?$/gm)].map(([, key, value]) => [key, value]),
  )

/** A disk in the media registry. */
export interface Medium {
  readonly id: string
  readonly parent: string | undefined
  readonly path: string
}

/** Parses the output of `list hdds`: paragraphs of lines of the form `Word: value`. */
export const parseMedia = (text: string): readonly Medium[] =>
  text
    .split(/\r?\n\r?\n/)
    .map((paragraph) => {
      const read = (word: string): string =>
        new RegExp(`^${word}: +(.*?)\\r?$`, 'm').exec(paragraph)?.[1] ?? ''
      const parent = read('Parent UUID')
      return {
        id: read('UUID'),
        parent: /^[0-9a-f-]{36}$/i.test(parent) ? parent : undefined,
        path: read('Location'),
      }
    })
    .filter(({ id }) => id !== '')
