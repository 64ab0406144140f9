import { type Tags, parseTagList } from '../tag-list.ts'

/** Azure keeps the first four for itself; by the last, fleet finds its hosts. */
const reserved = /^(?:azure|microsoft|windows|hidden-|fleet(?:$|:))/i

/** At most 512 characters for a name and 256 for a value, and none of `<>%&\?/` in a name. */
const isTag = (name: string, value: string): boolean =>
  /^[^<>%&\\?/]{1,512}$/.test(name) && value.length <= 256 && !reserved.test(name)

/** Reads `key=value,key=value`; nothing where that is no list of tags that a person may set. */
export const parseTags = (text: string): Tags | undefined => parseTagList(text, isTag)

const tagsIn = (text: string): Tags => (text === '' ? {} : (parseTags(text) ?? {}))

/** What is to be set and what is to go, so that the tags that fleet set, `had`, become `wanted`. */
export function tagChange(
  had: string,
  wanted: string,
): { readonly set: Tags; readonly gone: Tags } {
  const [before, after] = [tagsIn(had), tagsIn(wanted)]
  return {
    set: Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value)),
    gone: Object.fromEntries(Object.entries(before).filter(([key]) => !(key in after))),
  }
}
