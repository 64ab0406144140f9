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
