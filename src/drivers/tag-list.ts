/** Tag values of a provider's resource, keyed by tag key. */
export type Tags = Readonly<Record<string, string>>

/** Parses `key=value,key=value`; `undefined` if a tag is invalid or reserved. */
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

/** Formats tags for a plan: `key=value,…` or `none`. */
export const formatTags = (tags: Tags): string =>
  Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || 'none'
