import { dockerFailure, exitCodes, sshFailure } from '../errors.ts'

/**
 * Returns the command-line arguments as the user typed them. The launcher (scripts/launcher.sh) hides them from
 * Node.js: it adds a colon before each argument that starts with - or :, and inserts `:` as the first argument.
 */
export function typedWords(words: readonly string[]): string[] {
  if (words[0] !== ':') return [...words]
  return words.slice(1).map((word) => (word.startsWith(':') ? word.slice(1) : word))
}

/** Whether a command line only asks for the version. */
export const asksForVersion = ([word = '', ...others]: readonly string[]): boolean =>
  others.length === 0 && /^(?:--version|-[Vv]|version)$/.test(word)

/** Returns the name of the command, if no options precede it except `-m`, `--machine`, `--on` and `--all`. */
export function commandIn(argv: readonly string[]): string | undefined {
  const words = [...argv]
  let word = words.shift()
  while (word !== undefined && /^(?:-m|--(?:machine|on|all))(?:=|$)/.test(word)) {
    if (!word.includes('=') && word !== '--all') words.shift()
    word = words.shift()
  }
  return word
}

/** Common options whose value is the next word. */
const hasValue = /^(?:-m|--(?:machine|on|inventory|parallel|timeout|max-fail|format))$/

/** Returns the position of the command, after all options that may precede it. */
function commandAt(argv: readonly string[]): number {
  return argv.findIndex((word, at) => !word.startsWith('-') && !hasValue.test(argv[at - 1] ?? ''))
}

/** The most frequent of the commands that exit with docker's code. */
const exitsWithDockerCode: ReadonlySet<string | undefined> = new Set(
  'run exec build pull push docker compose'.split(' '),
)

/** Returns the exit code for a failure of fleet before it has loaded the command, or when its output cannot be written. */
export function failureCodeFor(argv: readonly string[]): number {
  const command = argv[commandAt(argv)]
  if (command === 'ssh') return sshFailure
  return exitsWithDockerCode.has(command) ? dockerFailure : exitCodes.failed
}

/** Whether a command line has the option `--json`: some words may be for a program that the command runs. */
export function asksForJson(argv: readonly string[]): boolean {
  const runsProgram = failureCodeFor(argv) !== exitCodes.failed
  const end = runsProgram ? commandAt(argv) : argv.indexOf('--')
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json')
}
