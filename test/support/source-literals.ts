/** Returns the string literals in TypeScript source, ignoring comments and regular expressions. */
export function literalsOf(source: string): string[] {
  const tokens =
    /\/\*[^]*?\*\/|\/\/[^\n]*|(?<=[(,=:[!&|?{};]\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g
  return (source.match(tokens) ?? []).filter((token) => /^['"`]/.test(token))
}
