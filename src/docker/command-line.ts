/** One word of a docker command line, as docker's flag parser (pflag) parses it. */
export type Word =
  | { readonly kind: 'flag'; readonly name: string; readonly value?: string }
  | { readonly kind: 'operand'; readonly value: string }
  | { readonly kind: 'end of flags' }

/** The flags that the parser accepts for a command. Flags that are not in `booleans` take a value. */
export interface Syntax {
  readonly booleans: readonly string[]
  /** Long names of short flags, such as `'-f': '--file'`. */
  readonly shorts?: Readonly<Record<string, string>>
  /** Whether flags end at the first operand, as in `docker run IMAGE ls -l`. */
  readonly flagsFirst?: boolean
}

const operand = (value: string): Word => ({ kind: 'operand', value })

/** Parses `-abc`, `-fvalue` and `-f value`; `next` consumes and returns the following word. */
function readShorts(letters: string, syntax: Syntax, next: () => string | undefined): Word[] {
  const name = syntax.shorts?.[`-${letters.charAt(0)}`] ?? `-${letters.charAt(0)}`
  const rest = letters.slice(1)
  if (rest.startsWith('=')) return [{ kind: 'flag', name, value: rest.slice(1) }]
  if (!syntax.booleans.includes(name)) return [flagWith(name, rest === '' ? next() : rest)]
  const flag: Word = { kind: 'flag', name }
  return rest === '' ? [flag] : [flag, ...readShorts(rest, syntax, next)]
}

const flagWith = (name: string, value: string | undefined): Word =>
  value === undefined ? { kind: 'flag', name } : { kind: 'flag', name, value }

/** Parses the words after a docker verb. */
export function parseWords(args: readonly string[], syntax: Syntax): Word[] {
  const words: Word[] = []
  const left = [...args]
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === '--') return [...words, { kind: 'end of flags' }, ...left.map(operand)]
    const equals = arg.indexOf('=')
    if (arg === '-' || !arg.startsWith('-')) {
      words.push(operand(arg))
      if (syntax.flagsFirst === true) return [...words, ...left.map(operand)]
    } else if (!arg.startsWith('--')) {
      words.push(...readShorts(arg.slice(1), syntax, () => left.shift()))
    } else if (equals > 0) {
      words.push({ kind: 'flag', name: arg.slice(0, equals), value: arg.slice(equals + 1) })
    } else {
      words.push(flagWith(arg, syntax.booleans.includes(arg) ? undefined : left.shift()))
    }
  }
  return words
}

/** Converts parsed words back to arguments. */
export const formatWords = (words: readonly Word[]): string[] =>
  words.map((word) => {
    if (word.kind === 'operand') return word.value
    if (word.kind === 'end of flags') return '--'
    return word.value === undefined ? word.name : `${word.name}=${word.value}`
  })

/** Returns the operands of a command line. */
export const operandsOf = (words: readonly Word[]): string[] =>
  words.flatMap((word) => (word.kind === 'operand' ? [word.value] : []))

/** Returns the values of the flag `name`, in order. */
export const valuesOf = (words: readonly Word[], name: string): string[] =>
  words.flatMap((word) =>
    word.kind === 'flag' && word.name === name && word.value !== undefined ? [word.value] : [],
  )

/** Returns the words without the flags in `names`. */
export const withoutFlags = (words: readonly Word[], names: readonly string[]): Word[] =>
  words.filter((word) => word.kind !== 'flag' || !names.includes(word.name))

/** Sets the operand at position `index`, counted from 0, to `value`. */
export function replaceOperand(words: readonly Word[], index: number, value: string): Word[] {
  let seen = -1
  return words.map((word) => {
    if (word.kind === 'operand') seen += 1
    return word.kind === 'operand' && seen === index ? operand(value) : word
  })
}
