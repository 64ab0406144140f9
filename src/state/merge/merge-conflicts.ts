import { maxProblems, type Problem } from '../inventory/check/problem.ts'

const marker = /^(?:<{7}|>{7})(?: |\r?$)/gm
/** A line with a key and no value, such as the name of an entry. */
const openLine = /^([ \t]+)["']?([\w.-]+)["']?:[ \t]*(?:#.*)?\r?$/gm

/** Returns the indentation of entries: the indentation of the first key below `machines:`. */
function indentOf(text: string): string | undefined {
  const machines = /^machines:.*$/m.exec(text)
  if (machines === null) return undefined
  const below = text.slice(machines.index + machines[0].length)
  return Array.from(below.matchAll(openLine), ([, indent = '']) => indent).sort(
    (a, b) => a.length - b.length,
  )[0]
}

/** Returns the machines in a conflict: the machines named between its markers, else the last machine named above it. */
function namesIn(text: string, start: number, end: number): readonly string[] {
  const indent = indentOf(text)
  const named = Array.from(text.slice(0, end).matchAll(openLine))
    .filter(([, own]) => own === indent)
    .map(({ index, 2: name = '' }) => ({ index, name }))
  const within = named.filter(({ index }) => index >= start)
  const found = within.length > 0 ? within : named.slice(-1)
  return [...new Set(found.map(({ name }) => name))]
}

/** Finds git's conflict markers, and names the machines at the first marker of each conflict. */
export function findConflicts(text: string): readonly Problem[] {
  const markers = Array.from(text.matchAll(marker), ({ index, 0: line }) => ({
    index,
    opens: line.startsWith('<'),
  }))
  return markers
    .filter(({ opens }, at) => opens || markers[at - 1]?.opens !== true)
    .slice(0, maxProblems)
    .map(({ index, opens }) => {
      const end = markers.find((other) => !other.opens && other.index > index)?.index
      const names = opens ? namesIn(text, index, end ?? text.length) : []
      const about = names.length > 0 ? ` in ${names.join(', ')}` : ''
      return { offset: index, message: `unresolved git merge conflict${about}` }
    })
}
