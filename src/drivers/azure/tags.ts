import { type Tags, parseTagList } from '../tag-list.ts'

/** Reserved names: Azure reserves the first four prefixes, and fleet finds its hosts by the last one. */
const reserved = /^(?:azure|microsoft|windows|hidden-|fleet(?:$|:))/i

/** Azure allows 512 characters for a name and 256 for a value, and does not allow any of `<>%&\\?/` in a name. */
const isTag = (name: string, value: string): boolean =>
  /^[^<>%&\\?/]{1,512}$/.test(name) && value.length <= 256 && !reserved.test(name)

/** Parses `key=value,key=value`; `undefined` if a tag is invalid or reserved. */
export const parseTags = (text: string): Tags | undefined => parseTagList(text, isTag)

const tagsIn = (text: string): Tags => (text === '' ? {} : (parseTags(text) ?? {}))

/** Returns the tags to set and to delete to turn `previous`, the tags that fleet set earlier, into `wanted`. */
export function changedTags(
  previous: string,
  wanted: string,
): { readonly set: Tags; readonly removed: Tags } {
  const [before, after] = [tagsIn(previous), tagsIn(wanted)]
  return {
    set: Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value)),
    removed: Object.fromEntries(Object.entries(before).filter(([key]) => !(key in after))),
  }
}
