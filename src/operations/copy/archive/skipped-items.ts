/** The maximum number of items to list, because a host may send any number of them. */
const longestList = 100

/** Collects items that were skipped or changed in a copy. */
export interface SkippedItems {
  readonly add: (what: string) => void
  /** One line for each item; beyond the limit, only a count. */
  list(): string[]
}

export function collectSkipped(): SkippedItems {
  const listed: string[] = []
  let more = 0
  return {
    add(what) {
      if (listed.length < longestList) listed.push(what)
      else more += 1
    },
    list: () => (more === 0 ? listed : [...listed, `${more} more`]),
  }
}
