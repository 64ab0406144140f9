/** Tags of a resource, as Resource Manager has them. */
export type Tags = Readonly<Record<string, string>>

/** Azure keeps the first four for itself; by the last, fleet finds its hosts. */
const reserved = /^(?:azure|microsoft|windows|hidden-|fleet(?:$|:))/i

/** At most 512 characters for a name and 256 for a value, and none of `<>%&\?/` in a name. */
const isTag = (name: string, value: string): boolean =>
  /^[^<>%&\\?/]{1,512}$/.test(name) && value.length <= 256 && !reserved.test(name)

/** Reads `key=value,key=value`; nothing where that is no list of tags that a person may set. */
export function parseTags(text: string): Tags | undefined {
  const tags: Record<string, string> = {}
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^\s*([^=]*?)\s*=(.*)$/.exec(part) ?? []
    if (!isTag(name, value.trim())) return undefined
    tags[name] = value.trim()
  }
  return tags
}

/** Tags in words; `none` where there are none. */
export const sayTags = (tags: Tags): string =>
  Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || 'none'

const tagsIn = (text: string): Tags => (text === '' ? {} : (parseTags(text) ?? {}))

/** What is to be set and what is to go, so that the tags that fleet set, `had`, become `wanted`. */
export function tagChange(
  had: string,
  wanted: string,
): { readonly set: Tags; readonly gone: Tags } {
  const [before, after] = [tagsIn(had), tagsIn(wanted)]
  const pick = (tags: Tags, keep: (key: string, value: string) => boolean): Tags =>
    Object.fromEntries(Object.entries(tags).filter(([key, value]) => keep(key, value)))
  return {
    set: pick(after, (key, value) => before[key] !== value),
    gone: pick(before, (key) => !(key in after)),
  }
}
