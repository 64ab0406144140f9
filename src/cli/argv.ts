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

/** Whether a command line has the option `--json`: words after `--` are for another program. */
export const asksForJson = (argv: readonly string[]): boolean =>
  argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length).includes('--json')

/** The most frequent of the commands that exit with docker's code. */
const exitsWithDockerCode: ReadonlySet<string | undefined> = new Set(
  'run exec build pull push docker compose'.split(' '),
)

/** Returns the exit code for a failure of fleet before it knows the command, or after the command has ended. */
export function failureCodeFor(argv: readonly string[]): number {
  const command = commandIn(argv)
  if (command === 'ssh') return sshFailure
  return exitsWithDockerCode.has(command) ? dockerFailure : exitCodes.failed
}
