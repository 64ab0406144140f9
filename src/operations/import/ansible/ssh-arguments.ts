import { basename } from 'node:path'

/** The connection settings in the arguments that Ansible passes to ssh. */
export interface SshArguments {
  /** Jump hosts, in the order of connection. */
  readonly jumps?: readonly string[]
  readonly user?: string
  readonly port?: string
  readonly identityFile?: string
  /** The reason why fleet cannot connect with these arguments. */
  readonly unsupported?: string
}

/** Splits text into words as Python's shlex and a POSIX shell do, with quotes and backslash escapes. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? ''
    if (character === quote) quote = ''
    else if (quote === "'" || (quote === '"' && character !== '\\')) word = (word ?? '') + character
    else if (character === '\\') word = (word ?? '') + (text[(at += 1)] ?? '')
    else if (quote === '' && (character === '"' || character === "'")) {
      quote = character
      word ??= ''
    } else if (!/\s/.test(character)) word = (word ?? '') + character
    else if (word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  return word === undefined ? words : [...words, word]
}

/** The letters of ssh(1) options that take a value. */
const withValue = new Set('BbcDEeFIiJLlmOoPpQRSWw')

interface ParsedArguments {
  /**
   * The values of `-o Key=Value`, keyed by the key in lower case, and those of `-J`, `-l`, `-p` and `-i`, keyed by the
   * equivalent key. The first value for a key wins.
   */
  readonly options: ReadonlyMap<string, string>
  readonly letters: ReadonlyMap<string, string>
  readonly rest: readonly string[]
}

const keyOfLetter: Readonly<Record<string, string>> = {
  J: 'proxyjump',
  l: 'user',
  p: 'port',
  i: 'identityfile',
}

/** Parses words as ssh(1) does with getopt: `-qW value`, `-oKey=Value`, `-o "Key Value"`. */
function parseArguments(words: readonly string[]): ParsedArguments {
  const options = new Map<string, string>()
  const letters = new Map<string, string>()
  const rest: string[] = []
  const keep = (key: string, value: string) => {
    if (!options.has(key)) options.set(key, value)
  }
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (!word.startsWith('-') || word === '-') {
      rest.push(word)
      continue
    }
    for (let index = 1; index < word.length; index += 1) {
      const letter = word[index] ?? ''
      if (!withValue.has(letter)) {
        letters.set(letter, '')
        continue
      }
      const value = word.slice(index + 1) || (words[(at += 1)] ?? '')
      letters.set(letter, value)
      if (letter === 'o') {
        const [, key = '', text = ''] = /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)$/s.exec(value) ?? []
        keep(key.toLowerCase(), text.replace(/^"(.*)"$/s, '$1'))
      } else if (keyOfLetter[letter] !== undefined) keep(keyOfLetter[letter], value)
      break
    }
  }
  return { options, letters, rest }
}

/** The jump host of a ProxyCommand of the form `ssh -W %h:%p [user@]host`. */
function jumpOfCommand(command: string): string | undefined {
  const [program = '', ...words] = splitWords(command)
  if (!/^ssh(?:\.exe)?$/.test(basename(program))) return undefined
  const { options, letters, rest } = parseArguments(words)
  const [host, ...more] = rest
  if (letters.get('W') !== '%h:%p' || host === undefined || more.length > 0) return undefined
  if (letters.has('F') || options.has('proxycommand') || options.has('proxyjump')) return undefined
  const user = options.get('user')
  const port = options.get('port')
  const named = user === undefined || host.includes('@') ? host : `${user}@${host}`
  return port === undefined ? named : `${named}:${port}`
}

/** Parses `ansible_ssh_common_args` and similar variables (ansible-doc -t connection ssh). */
export function readSshArguments(text: string): SshArguments {
  const { options, letters } = parseArguments(splitWords(text))
  if (letters.has('F')) {
    return {
      unsupported: `Ansible connects with a different SSH configuration (-F ${letters.get('F')})`,
    }
  }
  const jump = options.get('proxyjump')
  const command = options.get('proxycommand')
  const jumped = command === undefined || command === 'none' ? undefined : jumpOfCommand(command)
  if (command !== undefined && command !== 'none' && jumped === undefined && jump === undefined) {
    return {
      unsupported: `Ansible connects through a ProxyCommand, which fleet does not run (${command})`,
    }
  }
  const list = jump === undefined || jump === 'none' ? jumped : jump
  const jumps = list?.split(',')
  const user = options.get('user')
  const port = options.get('port')
  const identityFile = options.get('identityfile')
  return {
    ...(jumps !== undefined && { jumps }),
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port }),
    ...(identityFile !== undefined && { identityFile }),
  }
}
