/** Tags of a provider's resources, by key. */
export type Tags = Readonly<Record<string, string>>

/** Reads `key=value,key=value`; nothing where one of them is not what the provider, or fleet, lets a person set. */
export function parseTagList(
  text: string,
  isTag: (key: string, value: string) => boolean,
): Tags | undefined {
  const tags: Record<string, string> = {}
  for (const part of text.split(',')) {
    const [, key = '', value = ''] = /^\s*([^=]*?)\s*=(.*)$/.exec(part) ?? []
    if (!isTag(key, value.trim())) return undefined
    tags[key] = value.trim()
  }
  return tags
}

/** Tags in words; `none` where there are none. */
export const sayTags = (tags: Tags): string =>
  Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || 'none'
