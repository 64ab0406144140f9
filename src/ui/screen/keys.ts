/** A key: a character, or a name such as `up`, `enter`, `ctrl-c`. */
export type Key = string

/**
 * The keys for the sequences that can follow the escape character: those of xterm, and those of the Linux console and
 * PuTTY where they differ.
 */
const sequences: Readonly<Record<string, Key>> = {
  '[A': 'up',
  '[B': 'down',
  '[C': 'right',
  '[D': 'left',
  OA: 'up',
  OB: 'down',
  OC: 'right',
  OD: 'left',
  '[H': 'home',
  '[F': 'end',
  OH: 'home',
  OF: 'end',
  '[1~': 'home',
  '[4~': 'end',
  '[7~': 'home',
  '[8~': 'end',
  '[3~': 'delete',
  '[5~': 'page-up',
  '[6~': 'page-down',
  '[Z': 'shift-tab',
}

const controls: Readonly<Record<string, Key>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\b': 'backspace',
  '\u007F': 'backspace',
  '\u0003': 'ctrl-c',
  '\u0004': 'page-down',
  '\u000C': 'ctrl-l',
  '\u0015': 'ctrl-u',
  '\u0017': 'ctrl-w',
  '\u001A': 'ctrl-z',
}

const escape = '\u001B'

/** A complete control sequence after the escape character (ECMA-48 5.4), or a complete SS3 sequence. */
const sequence = /^(?:\[[\d;?]*[ -/]*[@-~]|O[@-~])/

/** The beginning of a sequence that has not arrived completely yet. */
const unfinished = /^(?:\[[\d;?]*[ -/]*|O)?$/

/**
 * Reads the keys from a terminal's input. `rest` is an incomplete sequence at the end of the input. An escape character
 * at the end means the key `escape` if nothing follows it soon; in that case, call this function again with `isEnd`.
 * Unknown sequences are skipped.
 */
export function readKeys(
  input: string,
  isEnd = false,
): { readonly keys: readonly Key[]; readonly rest: string } {
  const keys: Key[] = []
  let text = input
  while (text !== '') {
    const [first = ''] = text
    if (first === escape) {
      const after = text.slice(1)
      const [found] = sequence.exec(after) ?? []
      if (found !== undefined) {
        const plain = found.replace(/^\[1;\d+/, '[') // with Shift, Ctrl or Alt
        const key = sequences[found] ?? sequences[plain]
        if (key !== undefined) keys.push(key)
        text = after.slice(found.length)
        continue
      }
      if (unfinished.test(after) && !isEnd) return { keys, rest: text }
      keys.push('escape')
      text = unfinished.test(after) ? '' : after
      continue
    }
    const control = controls[first]
    if (control !== undefined) keys.push(control)
    else if (first >= ' ') keys.push(first)
    text = text.slice(first.length)
  }
  return { keys, rest: '' }
}
