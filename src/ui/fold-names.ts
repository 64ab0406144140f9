interface Numbered {
  readonly name: string
  readonly before: string
  readonly digits: string
  readonly after: string
}

function split(name: string): Numbered {
  const [, before = name, digits = '', after = ''] = /^(.*?)(\d{1,9})(\D*)$/.exec(name) ?? []
  return { name, before, digits, after }
}

/** Whether `next` is the same name as `last`, but with its number increased by one, in the same format. */
function follows(last: Numbered, next: Numbered): boolean {
  const isAlike = last.before === next.before && last.after === next.after && last.digits !== ''
  return (
    isAlike && next.digits === String(Number(last.digits) + 1).padStart(last.digits.length, '0')
  )
}

/** Returns a list of names. Three or more consecutive names are combined into a range: `db, web-1..web-3`. */
export function foldNames(names: readonly string[]): string {
  const runs: Numbered[][] = []
  for (const next of names.map(split)) {
    const last = runs.at(-1)?.at(-1)
    if (last !== undefined && follows(last, next)) runs.at(-1)?.push(next)
    else runs.push([next])
  }
  return runs
    .flatMap((run) =>
      run.length < 3 ? run.map(({ name }) => name) : [`${run[0]?.name}..${run.at(-1)?.name}`],
    )
    .join(', ')
}

/** Describes all machines in a group of two or more: `both machines`, or `all 920 machines`. */
export const allMachines = (count: number): string =>
  count === 2 ? 'both machines' : `all ${count} machines`

/**
 * Returns a list of names, such as `db, web-1..web-3`, or `all 920 machines` if all machines are named. `all`: the
 * number of all machines.
 */
export const namesAmong = (names: readonly string[], all: number): string =>
  names.length === all && all > 1 ? allMachines(all) : foldNames(names)

/**
 * Returns the title for output that several machines share: `web-1..web-3 (3)`, or `all 920 machines` if all machines
 * share it. `all`: the number of all machines.
 */
export const namesOfGroup = (names: readonly string[], all: number): string =>
  names.length === all && all > 1 ? namesAmong(names, all) : `${foldNames(names)} (${names.length})`
