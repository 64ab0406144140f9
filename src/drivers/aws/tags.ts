import type { Filter, Tag, TagSpecification } from '@aws-sdk/client-ec2'
import { type Tags, parseTagList } from '../tag-list.ts'

/**
 * Reserved tag keys: AWS rejects keys that start with `aws:`, and fleet finds its hosts by keys that start with
 * `fleet:`.
 */
const reserved = /^(?:aws:|fleet(?:$|:))/i

const isTag = (key: string, value: string): boolean =>
  key.length >= 1 && key.length <= 128 && value.length <= 256 && !reserved.test(key)

/** Parses `key=value,key=value`; `undefined` if a tag is invalid or reserved. */
export const parseTags = (text: string): Tags | undefined => parseTagList(text, isTag)

const tagsIn = (text: string): Tags => (text === '' ? {} : (parseTags(text) ?? {}))

/**
 * Returns the tags to set and to delete on a resource with the tags `current`, to turn `previous`, the tags that fleet
 * set earlier, into `wanted`.
 */
export function changedTags(
  previous: string,
  wanted: string,
  current: Tags,
): { readonly set: Tags; readonly removed: readonly string[] } {
  const [before, after] = [tagsIn(previous), tagsIn(wanted)]
  return {
    set: Object.fromEntries(Object.entries(after).filter(([key, value]) => current[key] !== value)),
    removed: Object.entries(before).flatMap(([key, value]) =>
      key in after || current[key] !== value ? [] : [key],
    ),
  }
}

const listTags = (tags: Tags): Tag[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))

/** Returns tag specifications with the same tags for each resource type that a request creates. */
export const tagAll = (
  tags: Tags,
  ...types: NonNullable<TagSpecification['ResourceType']>[]
): TagSpecification[] => types.map((ResourceType) => ({ ResourceType, Tags: listTags(tags) }))

/** Returns the value of a tag; `undefined` if the resource does not have it. */
export const tagOf = (tags: readonly Tag[] | undefined, key: string): string | undefined =>
  tags?.find(({ Key }) => Key === key)?.Value

/** Converts tags to an object. */
export const tagsByKey = (tags: readonly Tag[] = []): Tags =>
  Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [Key, Value]))

/** Returns only those of a resource's tags that fleet itself uses. */
export const fleetTagsIn = (tags: readonly Tag[] = []): Tags =>
  Object.fromEntries(
    tags.flatMap(({ Key = '', Value = '' }) => (/^fleet(?:$|:)/.test(Key) ? [[Key, Value]] : [])),
  )

/** Returns a filter for all resources of one host. */
export const byToken = (token: string): Filter => ({ Name: 'tag:fleet:token', Values: [token] })
