/**
 * The words that fleet was started with. The launcher (scripts/launcher.sh) keeps them from Node.js by a colon before
 * each that begins with - or :, and says so by a first word that is a colon alone.
 */
export function typedWords(words: readonly string[]): string[] {
  if (words[0] !== ':') return [...words]
  return words.slice(1).map((word) => (word.startsWith(':') ? word.slice(1) : word))
}
