import { type Syntax, type Word, formatWords, parseWords } from './command-line.ts'
import { globals, verbs } from './verbs.ts'

/** The flags of a docker verb, and which of its operands are container names. */
interface NameSyntax extends Syntax {
  /** Which operands are names: the first, all, or those of the form `NAME:PATH`. */
  readonly names: 'first' | 'all' | 'with path'
}

const flags = (names = ''): string[] => ['--help', ...names.split(' ').filter(Boolean)]

/** Source: the reference of the docker command line, release 28. Flags that are not listed take a value. */
const syntaxes: Readonly<Record<string, NameSyntax>> = {
  attach: { names: 'first', booleans: flags('--no-stdin --sig-proxy') },
  commit: { names: 'first', booleans: flags('-p --pause') },
  cp: { names: 'with path', ...verbs.cp },
  diff: { names: 'first', booleans: flags() },
  exec: { names: 'first', ...verbs.exec },
  export: { names: 'first', booleans: flags() },
  inspect: { names: 'all', booleans: flags('-s --size') },
  kill: { names: 'all', booleans: flags() },
  logs: { names: 'first', booleans: flags('--details -f --follow -t --timestamps') },
  pause: { names: 'all', booleans: flags() },
  port: { names: 'first', booleans: flags() },
  rename: { names: 'first', booleans: flags() },
  restart: { names: 'all', booleans: flags() },
  rm: { names: 'all', booleans: flags('-f --force -l --link -v --volumes') },
  start: { names: 'all', booleans: flags('-a --attach -i --interactive') },
  stats: { names: 'all', booleans: flags('-a --all --no-stream --no-trunc') },
  stop: { names: 'all', booleans: flags() },
  top: { names: 'first', booleans: flags(), flagsFirst: true },
  unpause: { names: 'all', booleans: flags() },
  update: { names: 'all', booleans: flags() },
  wait: { names: 'all', booleans: flags() },
}

/** A docker command line that names containers. */
export interface NamingCommand {
  readonly verb: string
  /** The names; for `cp`, with their paths. */
  readonly names: readonly string[]
  /**
   * Returns the command line with each name replaced by the result of `change`; names for which it returns undefined
   * are omitted.
   */
  readonly rename: (change: (name: string) => string | undefined) => string[]
}

/** Parses the arguments of docker; undefined if the verb takes no container names. */
export function readContainerNames(args: readonly string[]): NamingCommand | undefined {
  const words = parseWords(args, globals)
  const first = words.findIndex((word) => word.kind === 'operand')
  if (first === -1) return undefined
  const typed = formatWords(words.slice(first))
  const length = typed[0] === 'container' ? 2 : 1
  const verb = typed[length - 1] ?? ''
  const syntax = Object.hasOwn(syntaxes, verb) ? syntaxes[verb] : undefined
  if (syntax === undefined) return undefined
  const rest = parseWords(typed.slice(length), syntax)
  const operands = rest.filter((word) => word.kind === 'operand')
  const named = new Set<Word>(
    syntax.names === 'first'
      ? operands.slice(0, 1)
      : operands.filter(({ value }) => syntax.names === 'all' || /^[^/.][^:]*:/.test(value)),
  )
  return {
    verb,
    names: [...named].flatMap((word) => (word.kind === 'operand' ? [word.value] : [])),
    rename(change) {
      const changed = rest.flatMap((word): Word[] => {
        if (word.kind !== 'operand' || !named.has(word)) return [word]
        const value = change(word.value)
        return value === undefined ? [] : [{ kind: 'operand', value }]
      })
      return [
        ...formatWords(words.slice(0, first)),
        ...typed.slice(0, length),
        ...formatWords(changed),
      ]
    },
  }
}
