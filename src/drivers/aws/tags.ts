import type { Filter, Tag, TagSpecification } from '@aws-sdk/client-ec2'
import { type Tags, parseTagList } from '../tag-list.ts'

/** Keys that are not for people: AWS refuses the first, and fleet finds its hosts by the second. */
const reserved = /^(?:aws:|fleet(?:$|:))/i

const isTag = (key: string, value: string): boolean =>
  key.length >= 1 && key.length <= 128 && value.length <= 256 && !reserved.test(key)

/** Reads `key=value,key=value`; nothing where that is no list of tags that a person may set. */
export const parseTags = (text: string): Tags | undefined => parseTagList(text, isTag)

const tagsIn = (text: string): Tags => (text === '' ? {} : (parseTags(text) ?? {}))

/** What is to be set and what is to go, so that of the tags a resource has `now` those that fleet set, `had`, become `wanted`. */
export function changedTags(
  had: string,
  wanted: string,
  now: Tags,
): { readonly set: Tags; readonly gone: readonly string[] } {
  const [before, after] = [tagsIn(had), tagsIn(wanted)]
  return {
    set: Object.fromEntries(Object.entries(after).filter(([key, value]) => now[key] !== value)),
    gone: Object.entries(before).flatMap(([key, value]) =>
      key in after || now[key] !== value ? [] : [key],
    ),
  }
}

const listTags = (tags: Tags): Tag[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))

/** The same tags on each kind of resource that a call makes. */
export const tagAll = (
  tags: Tags,
  ...types: NonNullable<TagSpecification['ResourceType']>[]
): TagSpecification[] => types.map((ResourceType) => ({ ResourceType, Tags: listTags(tags) }))

/** The value of a tag, where a resource has it. */
export const tagOf = (tags: readonly Tag[] | undefined, key: string): string | undefined =>
  tags?.find(({ Key }) => Key === key)?.Value

/** Tags by key. */
export const tagsByKey = (tags: readonly Tag[] = []): Tags =>
  Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [Key, Value]))

/** Fleet's own of the tags of a resource. */
export const fleetTagsIn = (tags: readonly Tag[] = []): Tags =>
  Object.fromEntries(
    tags.flatMap(({ Key = '', Value = '' }) => (/^fleet(?:$|:)/.test(Key) ? [[Key, Value]] : [])),
  )

/** What belongs to one host. */
export const ofToken = (token: string): Filter => ({ Name: 'tag:fleet:token', Values: [token] })
