/** How many things are told one by one: a host may send any number of them. */
const longestList = 100

/** Collects what a copy does not bring as it is. */
export interface LeftOut {
  readonly add: (what: string) => void
  /** A text each; of many, the rest is a number. */
  list(): string[]
}

export function collectLeftOut(): LeftOut {
  const told: string[] = []
  let more = 0
  return {
    add(what) {
      if (told.length < longestList) told.push(what)
      else more += 1
    },
    list: () => (more === 0 ? told : [...told, `${more} more`]),
  }
}
