import type { Model } from '../model/model.ts'

/** A key and what it does. */
type Line = readonly [key: string, text: string]

const everywhere: readonly Line[] = [
  ['1 … 6, ← →', 'Machines, containers, images, stacks, services, events'],
  ['↑ ↓, j k', 'Select a row (also PgUp, PgDn, Home, End, g, G)'],
  ['Enter', 'Show details: inspect, usage over time, layers, tasks'],
  ['Space', 'Mark a row; l, x and : apply to all marked rows'],
  ['/', 'Filter: text, role=web, !web-*, driver=ssh, state=exited'],
  ['s, S', 'Sort by the next column; reverse the order'],
  ['Tab', 'Group by machine, swarm or stack'],
  ['Esc', 'Clear the marks, then the filter'],
  ['l', 'Follow container, stack or service logs'],
  ['r', 'Reconnect to machines that do not answer'],
  ['Ctrl-Z', 'Suspend fleet top (to resume it: fg)'],
  ['q, Ctrl-C', 'Quit'],
]

const changing: readonly Line[] = [
  ['e', 'Open a shell in a container or task, or on a machine'],
  ['x', 'Actions: start, stop, restart, kill, remove, pull, scale, roll back'],
  [':', 'Run any fleet command for the marked or selected rows'],
]

const logs: readonly Line[] = [
  ['↑ ↓, j k', 'Select a line (also PgUp, PgDn, Home, g); End, G: follow'],
  ['Enter', 'Show the whole line, or JSON with one field per line'],
  ['Space', 'Pause or resume following'],
  ['/', 'Search; n and N go to the next and previous match'],
  ['f', 'Show JSON lines as a message and its fields, or unchanged'],
  ['Esc', 'Back'],
]

const text = (unicode: boolean, lines: readonly Line[]): readonly string[] =>
  lines.map(([key, what]) => {
    const plain = key
      .replace('←', 'Left')
      .replace('→', 'Right')
      .replace('↑', 'Up')
      .replace('↓', 'Down')
    const shown = unicode ? key : plain.replace('…', '-')
    return `  ${shown.padEnd(14)} ${what}`
  })

/** Returns the lines of the help page. */
export function helpLines({ look: { unicode }, isReadOnly }: Model): readonly string[] {
  return [
    'Keys',
    ...text(unicode, everywhere),
    ...(isReadOnly ? [] : ['', 'Changes', ...text(unicode, changing)]),
    '',
    'In logs',
    ...text(unicode, logs),
    '',
    'Rows for machines that do not answer are gray and show the age of their data.',
  ]
}
