/** Tags of a provider's resources, by key. */
export type Tags = Readonly<Record<string, string>>

/** Reads `key=value,key=value`; nothing where one of them is not what the provider, or fleet, lets a person set. */
export function parseTagList(
  text: string,
  isTag: (key: string, value: string) => boolean,
): Tags | undefined {
  const tags: Record<string, string> = {}
  for (const part of text.split(',')) {
    const equals = part.indexOf('=')
    const key = part.slice(0, Math.max(0, equals)).trim()
    const value = part.slice(equals + 1).trim()
    if (!isTag(key, value)) return undefined
    tags[key] = value
  }
  return tags
}

/** Tags in words; `none` where there are none. */
export const sayTags = (tags: Tags): string =>
  Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || 'none'
